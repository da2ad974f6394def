#!/usr/bin/env node
import { runProgram } from '../lib/cli/command.ts'
import { proxyProgram } from './cli.ts'

process.exitCode = await runProgram(proxyProgram, process.argv.slice(2))
