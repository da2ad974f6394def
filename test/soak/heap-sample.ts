/** How much of the heap of a Node process is in use after everything that can be collected is? Asked through its inspector. */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { WebSocket } from 'undici'

/** What is watched, and its unit. */
export interface HeapSample {
  readonly 'heap KiB': number
  /** Buffers and what else belongs to objects outside of the heap. */
  readonly 'external KiB': number
}

/** Where a process opens its inspector on SIGUSR1: one process at a time. */
const inspector = 'http://127.0.0.1:9229/json/list'
const patience = 5_000
/** It closes itself a little later: while somebody is connected, closing stops the whole process. */
const measure = `(() => {
  const { heapUsed, external } = process.memoryUsage()
  setTimeout(() => process.getBuiltinModule('node:inspector').close(), 300)
  return JSON.stringify([process.pid, heapUsed, external])
})()`

interface Reply {
  readonly id?: number
  readonly result?: { readonly result?: { readonly value?: string } }
}

/** @returns `undefined` for a process that has ended or does not answer in time */
export async function sampleHeap(pid: number): Promise<HeapSample | undefined> {
  try {
    process.kill(pid, 'SIGUSR1')
    const socket = new WebSocket(await debuggerUrl())
    await once(socket as unknown as EventTarget, 'open', { signal: AbortSignal.timeout(patience) })
    await asked(socket, 1, 'HeapProfiler.collectGarbage', {})
    const { result } = await asked(socket, 2, 'Runtime.evaluate', { expression: measure })
    socket.close()
    while ((await targets()) !== undefined) await pause(50)
    const [of, heap = 0, external = 0] = JSON.parse(result?.result?.value ?? '[]') as number[]
    if (of !== pid) return undefined
    return { 'heap KiB': heap / 1_024, 'external KiB': external / 1_024 }
  } catch {
    return undefined
  }
}

async function debuggerUrl(): Promise<string> {
  for (const until = performance.now() + patience; performance.now() < until; await pause(20)) {
    const url = (await targets())?.[0]?.['webSocketDebuggerUrl']
    if (url !== undefined) return url
  }
  throw new Error('no inspector')
}

/** @returns `undefined` while no inspector is open */
async function targets(): Promise<readonly Readonly<Record<string, string>>[] | undefined> {
  try {
    const asking = get(inspector, { agent: false, timeout: patience })
    const [answer] = (await once(asking, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of answer.setEncoding('utf8')) text += String(chunk)
    return JSON.parse(text) as readonly Readonly<Record<string, string>>[]
  } catch {
    return undefined
  }
}

function asked(socket: WebSocket, id: number, method: string, params: object): Promise<Reply> {
  return new Promise((resolve, reject) => {
    socket.addEventListener('message', ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply
      if (reply.id === id) resolve(reply)
    })
    socket.addEventListener('close', () => reject(new Error('closed')))
    socket.send(JSON.stringify({ id, method, params }))
  })
}
