/** How does a help text fit the width of a terminal? */
import type { Count } from '../runtime/clock.ts'

/** A call as one would type it, and what it does. */
export type Example = readonly [call: string, what: string]
/** An exit code and what it means. */
export type ExitCode = readonly [code: number, meaning: string]

/** Beside a term a description needs so many columns to be read; with fewer it goes below. */
const leastBeside: Count = 30
const termIndent = '  '
const belowIndent = '      '
/** Where standard output is no terminal. */
export const usualWidth: Count = 80

/** The exit codes that a command has unless it lists its own. */
export const usualExitCodes: readonly ExitCode[] = [
  [0, 'done'],
  [1, 'failed; standard error has the reason'],
  [2, 'called wrongly, or the configuration cannot be used'],
]

function wrapped(text: string, width: Count): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/**
 * One term with its description: beside it where there is room, otherwise below. A term is never broken, so that a command can be copied.
 * @param termWidth of the longest term of the list
 */
export function helpItem(
  term: string,
  termWidth: Count,
  description: string,
  width: Count,
): string {
  if (description === '') return `${termIndent}${term}`
  const left = termIndent.length + termWidth + 2
  if (width - left < leastBeside) {
    const lines = wrapped(description, width - belowIndent.length)
    return [`${termIndent}${term}`, ...lines.map((line) => `${belowIndent}${line}`)].join('\n')
  }
  const [first = '', ...more] = wrapped(description, width - left)
  const rest = more.map((line) => `${' '.repeat(left)}${line}`)
  return [`${termIndent}${term.padEnd(termWidth)}  ${first}`, ...rest].join('\n')
}

function helpList(rows: readonly (readonly [string, string])[], width: Count): string {
  const termWidth = Math.max(...rows.map(([term]) => term.length))
  return rows.map(([term, description]) => helpItem(term, termWidth, description, width)).join('\n')
}

/** What follows the options: examples and exit codes. */
export function helpEnding(
  width: Count,
  examples: readonly Example[] = [],
  exitCodes: readonly ExitCode[] = usualExitCodes,
): string {
  const codes = exitCodes.map(([code, meaning]) => [String(code), meaning] as const)
  const parts = [
    ...(examples.length > 0 ? [`Examples:\n${helpList(examples, width)}`] : []),
    `Exit codes:\n${helpList(codes, width)}`,
  ]
  return `\n${parts.join('\n\n')}`
}
