// A worker answered the next supervisor at the takeover socket with TCP sockets that linger for hours over unsent data: closing them
// blocked the supervisor for as long. Right: nothing of a worker is closed in a way that waits, and what is no socket stays open.
import { once } from 'node:events'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import { InheritedSockets } from '../../proxy/namespaces/inherited-sockets.ts'
import { callLibc, connectSocket, linux, openSocket, sendBytes } from '../../lib/linux/libc.ts'
import { socketAddress } from '../../proxy/linux/socket-address.ts'

const solSocket = 1
const soLinger = 13
const lingerSeconds = 30_000

/** A connection whose other side reads nothing, with all that fits unsent. */
async function lingeringSocket(t: Test): Promise<number> {
  const server = createServer({ pauseOnConnect: true })
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { family, bytes } = socketAddress(parseIpAddress('127.0.0.1')!, port, 0)
  const fd = openSocket(family, linux.SOCK_STREAM)
  connectSocket(fd, bytes)
  const [accepted] = (await once(server, 'connection')) as [{ destroy: () => void }]
  t.teardown(() => accepted.destroy())
  const filling = Buffer.alloc(65_536)
  callLibc('fcntl', fd, 4, linux.SOCK_NONBLOCK)
  try {
    for (;;) sendBytes(fd, filling)
  } catch {
    callLibc('fcntl', fd, 4, 0)
  }
  const option = Buffer.alloc(8)
  option.writeInt32LE(1, 0)
  option.writeInt32LE(lingerSeconds, 4)
  callLibc('setsockopt', fd, solSocket, soLinger, option, option.length)
  return fd
}

if (process.platform !== 'linux') t.comment('Sockets are taken over on Linux alone')
else {
  t.test('a socket that lingers is closed at once', async (t) => {
    const fd = await lingeringSocket(t)
    const began = performance.now()
    new InheritedSockets(silentLogger).add([fd])
    t.comment(`closed in ${(performance.now() - began).toFixed(1)} ms`)
    t.throws(() => fstatSync(fd), { code: 'EBADF' })
  })

  t.test('what is no socket stays open', async (t) => {
    const fd = openSync('/dev/null', 'r')
    t.teardown(() => closeSync(fd))
    new InheritedSockets(silentLogger).add([fd])
    t.ok(fstatSync(fd).isCharacterDevice())
  })
}
