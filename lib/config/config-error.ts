import { terminalText } from '../observe/text-table.ts'
import type { ConfigProblem, Origin } from './entry.ts'

/** `proxy.yaml:12`, `OVERLAPD_PROXY_ADMIN_SOCKET`, `--set admin.socket=…` or `default`. */
export function originText(origin: Origin): string {
  if (origin.kind === 'default') return 'default'
  if (origin.kind === 'environment') return origin.name
  if (origin.kind === 'flag') return origin.text
  return origin.line === undefined ? origin.file : `${origin.file}:${origin.line}`
}

/** One problem on one line, whatever the value that it names: `admin.socket: 5 is not a path (proxy.yaml:12)`. */
export function problemText(problem: ConfigProblem): string {
  const subject = problem.path === '' ? '' : `${problem.path}: `
  const where = problem.origin === undefined ? '' : ` (${originText(problem.origin)})`
  return terminalText(`${subject}${problem.message}${where}`)
}

/**
 * The problems of a file that a configuration names, as problems of that configuration.
 * @param path the option that names it
 * @throws whatever else `read` throws
 */
export function problemsOfFile(path: string, read: () => unknown): readonly ConfigProblem[] {
  try {
    read()
    return []
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return thrown.problems.map((problem) => ({
      ...problem,
      path: [path, problem.path].filter((part) => part !== '').join(': '),
    }))
  }
}

/** A configuration that cannot be used, with everything that is wrong with it. The message is fit for the operator as it is. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    const lines = problems.map((problem) => `  ${problemText(problem)}`)
    super(`Cannot use the configuration: ${count}\n${lines.join('\n')}`)
    this.problems = problems
  }
}
