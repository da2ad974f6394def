/** What does a worker get that was broken into? A process of the workers' account, which sends to sockets of the agent what it likes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Teardowns } from './teardowns.ts'

/** Where tests have no account for workers, they run as this one. */
export const nobody = 65_534

/** How one request ended: status and reason code, or how the connection failed. */
export type Ending = string

/** Reads one order a line and answers each with one line. It tries for a while to connect, as whoever waits for a restart would. */
const program = `
import asyncio, encodings.ascii, encodings.latin_1, json, os, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[1])] * 3)
os.setresuid(*[int(sys.argv[1])] * 3)
async def ask(path, head, until):
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=2**20)
            break
        except OSError as error:
            if asyncio.get_running_loop().time() >= until: return type(error).__name__
            await asyncio.sleep(0.002)
    try:
        writer.write(head.encode())
        answer = (await asyncio.wait_for(reader.read(65536), 20)).decode("latin1")
    except OSError as error:
        return type(error).__name__
    writer.close()
    lines = answer.split("\\r\\n\\r\\n")[0].split("\\r\\n")
    reasons = [line.split(": ", 1)[1] for line in lines if line.lower().startswith("${wireHeaders.reason}: ")]
    return " ".join([lines[0].split(" ")[1] if " " in lines[0] else "nothing", *reasons])
async def serve():
    loop = asyncio.get_running_loop()
    while line := sys.stdin.readline():
        order = json.loads(line)
        until = loop.time() + order["patience"]
        endings = await asyncio.gather(*(ask(order["path"], head, until) for head in order["heads"]))
        print(json.dumps(endings), flush=True)
asyncio.run(serve())
`

/** A running process of the account. */
export interface WorkerAccount {
  /** Sends each head on a connection of its own, all at once. @param patience seconds in which it tries to connect */
  ask(path: string, heads: readonly string[], patience?: number): Promise<readonly Ending[]>
}

/** Starts the process. @param userId its user and its only group */
export function startWorkerAccount(t: Teardowns, userId = nobody): WorkerAccount {
  const words = ['-c', program, String(userId)]
  const child = spawn('python3', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => undefined)
  t.teardown(() => child.kill())
  const ended = once(child, 'exit')
  let text = ''
  let take: (() => void) | undefined
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
    if (text.includes('\n')) take?.()
  })
  return {
    async ask(path, heads, patience = 0) {
      text = ''
      const answered = new Promise<void>((resolve) => (take = resolve))
      child.stdin.write(`${JSON.stringify({ path, heads, patience })}\n`)
      await Promise.race([answered, ended])
      return JSON.parse(text) as readonly Ending[]
    },
  }
}
