/** A command was called in a way it cannot be; the message tells what to do instead. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
