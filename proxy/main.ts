#!/usr/bin/env node
import { runProgram } from '../lib/cli/command.ts'
import { ignoreDebuggerSignal } from '../lib/runtime/no-debugger.ts'
import { proxyProgram } from './cli.ts'

ignoreDebuggerSignal()
process.exitCode = await runProgram(proxyProgram, process.argv.slice(2))
