#!/usr/bin/env node
import { processTerminal } from '../../lib/cli/terminal.ts'
import { runStandIn } from './command-line.ts'

process.exitCode = await runStandIn(process.argv.slice(2), processTerminal())
