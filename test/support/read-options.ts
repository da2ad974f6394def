import { parseArgs, type ParseArgsConfig } from 'node:util'
import { causeText } from '../../lib/runtime/errors.ts'

/** Reads the options of a program of the tests. What it does not know ends it with its help and exit code 2. */
export function readOptions<Config extends ParseArgsConfig>(
  config: Config,
  help: string,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config)
  } catch (cause) {
    process.stderr.write(`${causeText(cause)}\n\n${help}`)
    return process.exit(2)
  }
}
