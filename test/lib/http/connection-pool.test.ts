import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createSecureServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { ConnectionPool, type ConnectionTaker } from '../../../lib/http/connection-pool.ts'
import { clientSecureContext } from '../../../lib/files/tls-material.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { TestAuthority } from '../../support/test-authority.ts'

const folder = scratchFolder(t)

async function listening(t: Test): Promise<{ tcpPort: number; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { tcpPort: (server.address() as AddressInfo).port, sockets }
}

function poolTo(t: Test, tcpPort: number, connections = 2): ConnectionPool {
  const pool = new ConnectionPool({
    isSecure: false,
    hostname: '127.0.0.1',
    tcpPort,
    connections,
    timeoutConnect: 5_000,
    tls: { rejectUnauthorized: true },
  })
  t.teardown(() => pool.close())
  return pool
}

function taken(pool: ConnectionPool, isWaiting = (): boolean => true): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const taker: ConnectionTaker = { isWaiting, take: resolve, failed: reject }
    pool.request(taker)
  })
}

t.test('the connection that was used last is used next', async (t) => {
  const { tcpPort } = await listening(t)
  const pool = poolTo(t, tcpPort)
  const [one, other] = await Promise.all([taken(pool), taken(pool)])
  t.not(one, other)
  pool.release(one)
  pool.release(other)
  t.equal(await taken(pool), other)
  t.equal(await taken(pool), one)
})

t.test('requests beyond the connections wait in turn, but for those that have left', async (t) => {
  const { tcpPort, sockets } = await listening(t)
  const pool = poolTo(t, tcpPort, 1)
  const only = await taken(pool)
  const turns: string[] = []
  void taken(pool, () => false).then(() => turns.push('left'))
  const first = taken(pool).then((socket) => (turns.push('first'), socket))
  const second = taken(pool).then((socket) => (turns.push('second'), socket))
  pool.release(only)
  pool.release(await first)
  t.equal(await second, only)
  t.strictSame(turns, ['first', 'second'])
  t.equal(sockets.length, 1)
})

t.test('a connection that ends makes room for one that waits', async (t) => {
  const { tcpPort, sockets } = await listening(t)
  const pool = poolTo(t, tcpPort, 1)
  const only = await taken(pool)
  const next = taken(pool)
  only.destroy()
  t.not(await next, only)
  t.equal(sockets.length, 2)
})

t.test('a connection whose request has left meanwhile is there for the next', async (t) => {
  const { tcpPort, sockets } = await listening(t)
  const pool = poolTo(t, tcpPort, 1)
  let hasLeft = false
  void taken(pool, () => !hasLeft).then(() => t.fail('nobody wants it'))
  hasLeft = true
  const next = await taken(pool)
  t.ok(next.writable)
  t.equal(sockets.length, 1)
})

for (const announced of [1_010, 1_000, 10]) {
  t.test(`an idle connection ends a second before the server's ${announced} ms`, async (t) => {
    const { tcpPort } = await listening(t)
    const pool = poolTo(t, tcpPort)
    const socket = await taken(pool)
    const closed = once(socket, 'close')
    pool.release(socket, announced)
    await closed
    t.not(await taken(pool), socket)
  })
}

t.test('a connection that has ended and is not closed yet is given to no caller', async (t) => {
  const { tcpPort } = await listening(t)
  const pool = poolTo(t, tcpPort)
  const [one, other] = await Promise.all([taken(pool), taken(pool)])
  pool.release(one)
  pool.release(other)
  // As at the end of their idle time, when a request comes in the same turn of the event loop.
  one.destroy()
  other.end()
  const next = await taken(pool)
  t.notOk(next === one || next === other)
  t.ok(next.writable)
})

t.test('whoever gets a connection knows whether the server may have ended it', async (t) => {
  const { tcpPort } = await listening(t)
  const pool = poolTo(t, tcpPort, 1)
  const reused: boolean[] = []
  const take = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      pool.request({
        isWaiting: () => true,
        take: (socket, isReused) => {
          reused.push(isReused)
          resolve(socket)
        },
        failed: reject,
      })
    })
  const first = await take()
  const waiting = take()
  pool.release(first)
  pool.release(await waiting)
  await take()
  t.strictSame(reused, [false, true, true])
})

t.test('a server that is not there fails the one that wanted it', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  await t.rejects(taken(poolTo(t, port)), { code: 'ECONNREFUSED' })
})

t.test('over TLS a session is taken up again, and each certificate looked at', async (t) => {
  const authority = new TestAuthority(folder)
  const nova = authority.issue({ commonName: 'nova', ipAddresses: ['127.0.0.1'] })
  const accepted: TLSSocket[] = []
  const server = createSecureServer(
    {
      cert: readFileSync(nova.certificateFile),
      key: readFileSync(nova.keyFile),
      ALPNProtocols: ['http/1.1'],
    },
    (socket) => accepted.push(socket.on('error', () => undefined)),
  )
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  const { port: tcpPort } = server.address() as AddressInfo
  const to = (caFile: string | undefined): ConnectionPool => {
    const pool = new ConnectionPool({
      isSecure: true,
      hostname: '127.0.0.1',
      tcpPort,
      connections: 2,
      timeoutConnect: 5_000,
      tls: { rejectUnauthorized: true, secureContext: clientSecureContext({ caFile }) },
    })
    t.teardown(() => pool.close())
    return pool
  }
  const pool = to(authority.caFile)
  await once(await taken(pool), 'session')
  const second = (await taken(pool)) as TLSSocket
  t.equal(second.isSessionReused(), true)
  t.equal(second.alpnProtocol, 'http/1.1')
  await t.rejects(taken(to(undefined)), { code: /^(?:SELF_SIGNED|UNABLE_TO)/ })
})
