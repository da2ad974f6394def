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
  return {
    environment: process.env,
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
  }
}
