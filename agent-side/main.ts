#!/usr/bin/env node
import { runProgram } from '../lib/cli/command.ts'
import { ignoreDebuggerSignal } from '../lib/runtime/no-debugger.ts'
import { agentProgram } from './cli.ts'

ignoreDebuggerSignal()
process.exitCode = await runProgram(agentProgram, process.argv.slice(2))
