import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Connect } from '../../../../lib/fast-http/request-pool.ts'
import type { ByteSocket } from '../../../../lib/sockets/byte-socket.ts'
import { httpConnector, unixConnector } from '../../../../proxy/worker/raw/connect.ts'
import { loopOf } from '../../../support/raw-loop.ts'

/** A path for a socket has 107 bytes. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

async function listening(t: Test, place: string | { host: string }): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).end('hello'))
  if (typeof place === 'string') server.listen(place)
  else server.listen(0, place.host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return server
}

function outcomeOf(connect: Connect): Promise<ByteSocket | Error> {
  return new Promise((resolve) => connect((...[cause, socket]) => resolve(cause ?? socket)))
}

async function textOf(socket: ByteSocket | Error): Promise<string> {
  if (socket instanceof Error) throw socket
  return await new Promise((resolve) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
    socket.on('end', () => {
      socket.destroy()
      resolve(text)
    })
  })
}

t.test('it connects to a name, to an address of either family, and to a UNIX socket', async (t) => {
  const loop = loopOf(t)
  for (const [host, written] of [
    ['127.0.0.1', 'localhost'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    const { port } = (await listening(t, { host })).address() as AddressInfo
    const connect = httpConnector(loop, `http://${written}:${port}/path`, 5_000)
    t.equal(await textOf(await outcomeOf(connect)), 'hello', written)
  }
  const path = join(shortFolder(t), 'agent.sock')
  await listening(t, path)
  t.equal(await textOf(await outcomeOf(unixConnector(loop, path))), 'hello')
  t.equal(loop.size, 0)
})

t.test(
  'a place where no process listens is an error with its code, never from within the call',
  async (t) => {
    const loop = loopOf(t)
    const server = await listening(t, { host: '127.0.0.1' })
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const folder = shortFolder(t)
    writeFileSync(join(folder, 'left.sock'), '')
    const cases: readonly [Connect, string][] = [
      [httpConnector(loop, `http://127.0.0.1:${port}`, 5_000), 'ECONNREFUSED'],
      [unixConnector(loop, join(folder, 'none.sock')), 'ENOENT'],
      [unixConnector(loop, join(folder, 'left.sock')), 'ECONNREFUSED'],
    ]
    for (const [connect, code] of cases) {
      let isWithin = true
      const outcome = new Promise((resolve) =>
        connect((...[cause]) => {
          t.notOk(isWithin, code)
          resolve(cause)
        }),
      )
      isWithin = false
      t.match(await outcome, { code })
    }
    t.equal(loop.size, 0)
  },
)

t.test('a handshake that does not end is given up', async (t) => {
  const loop = loopOf(t)
  // TEST-NET-1 of RFC 5737: nobody answers there, and some hosts say at once that there is no way.
  const outcome = await outcomeOf(httpConnector(loop, 'http://192.0.2.1:9', 50))
  t.type(outcome, Error)
  t.equal(loop.size, 0)
})

t.test('a name that does not exist is an error', async (t) => {
  const outcome = await outcomeOf(httpConnector(loopOf(t), 'http://name.invalid:9', 5_000))
  t.type(outcome, Error)
})

t.test('all of an answer is read that came before a reset, however late', async (t) => {
  const loop = loopOf(t)
  const path = join(shortFolder(t), 'agent.sock')
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    // With bytes that it has not read, closing is a reset.
    socket.pause()
    socket.write(Buffer.alloc(100_000, 'a'), () => socket.destroy())
  })
  server.listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const socket = await outcomeOf(unixConnector(loop, path))
  if (socket instanceof Error) throw socket
  let length = 0
  let causes = 0
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.on('data', (bytes: Buffer) => (length += bytes.length))
  socket.on('error', () => (causes += 1))
  socket.pause()
  socket.write('not read by the other side')
  const accepted = await new Promise<{ readonly closed: Promise<unknown> }>((resolve) =>
    server.once('connection', (other) => resolve({ closed: once(other, 'close') })),
  )
  await accepted.closed
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.notOk(socket.destroyed)
  socket.resume()
  await closed
  t.equal(length, 100_000)
  t.equal(causes, 1, 'and then it is an error')
})
