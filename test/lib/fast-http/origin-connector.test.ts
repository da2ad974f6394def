import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import { originConnector } from '../../../lib/fast-http/origin-connector.ts'

async function listening(t: Test, host = '127.0.0.1'): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

function connectTo(url: string, timeout = 5_000): Promise<ByteSocket | Error> {
  return new Promise((resolve) => {
    const connect = originConnector(url, { timeout, rejectUnauthorized: true })
    connect((...[error, socket]) => resolve(error ?? socket))
  })
}

t.test('it connects to a name and to an address of either family', async (t) => {
  for (const [host, written] of [
    ['127.0.0.1', 'localhost'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const) {
    const socket = await connectTo(`http://${written}:${await listening(t, host)}`)
    t.notOk(socket instanceof Error, written)
    ;(socket as ByteSocket).destroy()
  }
})

t.test('a handshake that does not end is given up', async (t) => {
  t.match(await connectTo(`https://127.0.0.1:${await listening(t)}`, 50), { message: /in time/ })
})

t.test('a server that is not there is an error', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  t.match(await connectTo(`http://127.0.0.1:${port}`), { code: 'ECONNREFUSED' })
})
