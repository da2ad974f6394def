import { spawn } from 'node:child_process'

/**
 * Runs a program to its end with the given standard input.
 * @returns its standard output
 * @throws Error with what it printed on standard error, when it does not end with 0
 */
export function runCommand(command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
    child.on('error', reject)
    child.stdin.on('error', () => undefined)
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output).toString())
      else {
        const printed = Buffer.concat(errors).toString().trim() || `exit code ${String(code)}`
        reject(new Error(`Cannot run "${[command, ...args].join(' ')}": ${printed}`))
      }
    })
    child.stdin.end(input)
  })
}

/** Works through the items, at most `limit` at a time, and returns the results in their order. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const lanes = Array.from({ length: Math.min(limit, items.length) }, async () => {
    while (next < items.length) {
      const index = next
      next += 1
      const item = items[index]
      if (item !== undefined) results[index] = await work(item)
    }
  })
  await Promise.all(lanes)
  return results
}
