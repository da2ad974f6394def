/** What would be loaded late, by which time this process may not be able to read it? */
import { Socket } from 'node:net'
import Client from 'undici/lib/dispatcher/client.js'
import { bindLibc } from '../../../lib/linux/libc.ts'

/** Loads what is otherwise loaded at its first use. */
export async function preload(): Promise<void> {
  bindLibc()
  await loadAnswerParser()
}

/** The HTTP client loads its parser at the first connection; one that is broken from the start is enough. */
async function loadAnswerParser(): Promise<void> {
  const socket = new Socket()
  const broken = new Promise((resolve) => socket.once('error', resolve))
  socket.destroy(new Error('not a connection'))
  await broken
  const client = new Client('http://preload', {
    connect: (_options, connected) => connected(null, socket),
  })
  await new Promise<void>((resolve) => {
    client.dispatch(
      { path: '/', method: 'GET' },
      {
        onConnect: () => undefined,
        onHeaders: () => true,
        onData: () => true,
        onComplete: () => resolve(),
        onError: () => resolve(),
      },
    )
  })
  await client.destroy()
}
