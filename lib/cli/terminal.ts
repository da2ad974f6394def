import type { Count } from '../runtime/clock.ts'

/** What a command sees of the process it runs in. Tests give their own. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** How wide the terminal is that shows standard output; `undefined` where a file or a pipe takes it. */
  readonly columns: Count | undefined
  /** Aborts once no process reads standard output any more, as after `| head`: a command that goes on printing ends then. */
  readonly closed: AbortSignal
  /** Writes the result. */
  out(text: string): void
  /** Writes what went wrong, and warnings. */
  error(text: string): void
}

/** The real one. Nothing else reads the environment or writes to the standard streams. */
export function processTerminal(): Terminal {
  const closing = new AbortController()
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      // A reader that has seen enough is no failure of the command; a full disk is one.
      if (cause.code !== 'EPIPE') process.exitCode = 1
      if (stream === process.stdout) closing.abort()
    })
  }
  return {
    environment: process.env,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    closed: closing.signal,
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
  }
}
