/** What a command sees of the process it runs in. Tests give their own. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Writes what was asked for. */
  out(text: string): void
  /** Writes what went wrong, and warnings. */
  error(text: string): void
}

/** The real one. Nothing else reads the environment or writes to the standard streams. */
export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', unwritable)
  return {
    environment: process.env,
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
  }
}

/** A reader that has seen enough, as `head` has, is no failure of the command; a full disk is one. */
function unwritable(cause: NodeJS.ErrnoException): void {
  if (cause.code !== 'EPIPE') process.exitCode = 1
}
