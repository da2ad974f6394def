#!/usr/bin/env node
import { runProgram } from '../../lib/cli/command.ts'
import { operatorProgram } from './operator-program.ts'

process.exitCode = await runProgram(operatorProgram(), process.argv.slice(2))
