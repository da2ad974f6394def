#!/usr/bin/env node
import { runProgram } from '../lib/cli/command.ts'
import { agentProgram } from './cli.ts'

process.exitCode = await runProgram(agentProgram, process.argv.slice(2))
