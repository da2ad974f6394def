import { once } from 'node:events'
import { closeSync, readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { callLibc, linux, listenSocket } from '../../../../lib/linux/libc.ts'
import { systemClock } from '../../../../lib/runtime/clock.ts'
import { ownEnd } from '../../../../proxy/netns/socket-ends.ts'
import { restoreNonBlocking } from '../../../../proxy/linux/non-blocking.ts'
import { openListener } from '../../../../proxy/worker/guest/open-listener.ts'
import type { RawLoop } from '../../../../proxy/worker/raw/raw-loop.ts'
import type { ByteSocket } from '../../../../lib/sockets/byte-socket.ts'
import { httpConnector } from '../../../../proxy/worker/raw/connect.ts'
import { RawListener } from '../../../../proxy/worker/raw/raw-listener.ts'
import { RawSocket } from '../../../../proxy/worker/raw/raw-socket.ts'
import { loopOf } from '../../../support/raw-loop.ts'
import { until } from '../../../support/until.ts'

interface Accepting {
  readonly loop: RawLoop
  readonly tcpPort: number
  readonly accepted: RawSocket[]
}

/** A listening socket whose connections are served as told. */
function accepting(t: Test, serve: (socket: RawSocket) => void): Accepting {
  const loop = loopOf(t)
  const fd = openListener('127.0.0.1', 0)
  listenSocket(fd, 128)
  restoreNonBlocking(fd)
  const accepted: RawSocket[] = []
  const listener = new RawListener(loop, fd, {
    accepted: (each) => {
      const socket = new RawSocket(loop, each, 'guest')
      accepted.push(socket)
      socket.on('error', () => undefined)
      serve(socket)
    },
    failed: () => t.fail('a connection could not be accepted'),
    clock: systemClock,
  })
  t.teardown(() => {
    for (const socket of accepted) socket.destroy()
    listener.close()
  })
  return { loop, tcpPort: ownEnd(fd)!.tcpPort, accepted }
}

async function client(t: Test, { tcpPort }: Accepting): Promise<Socket> {
  const socket = connect({ port: tcpPort, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function allOf(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of socket) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

t.test('bytes come as they were sent, and go as they were written', async (t) => {
  const server = accepting(t, (socket) => {
    socket.on('data', (bytes: Buffer) => socket.write(bytes))
    socket.on('end', () => socket.end('done'))
  })
  const socket = await client(t, server)
  const sent = Buffer.from(Array.from({ length: 300_000 }, (_value, index) => index % 251))
  socket.end(sent)
  const came = await allOf(socket)
  t.ok(came.subarray(0, sent.length).equals(sent))
  t.equal(came.toString('latin1', sent.length), 'done')
  await until(() => server.loop.size === 1)
})

t.test('a reader that takes its time gets all of it, in order', async (t) => {
  const size = 8_000_000
  let wasFull = false
  let drains = 0
  let sent = 0
  const server = accepting(t, (socket) => {
    socket.on('drain', () => (drains += 1))
    wasFull = !socket.write(Buffer.alloc(size, 'a'))
    socket.cork()
    socket.write('é', 'latin1')
    socket.write('é', 'utf8')
    socket.write(Buffer.from('b'), () => (sent = socket.writableLength))
    socket.uncork()
    socket.destroySoon()
  })
  const socket = await client(t, server)
  await until(() => server.accepted.length === 1)
  t.ok(wasFull)
  t.ok(server.accepted[0]!.writableLength > 0)
  const came = await allOf(socket)
  t.equal(came.length, size + 4)
  t.ok(came.subarray(0, size).equals(Buffer.alloc(size, 'a')))
  t.strictSame([...came.subarray(size)], [0xe9, 0xc3, 0xa9, 0x62])
  t.equal(sent, 0)
  t.equal(drains, 0, 'what ends has no room to announce')
})

t.test('what is held for the end arrives with it, however the connection ends', async (t) => {
  for (const end of ['destroy', 'destroySoon', 'end'] as const) {
    const server = accepting(t, (socket) => {
      socket.on('data', () => {
        socket.holdForEnd()
        socket.write('whole', 'latin1')
        socket[end]()
      })
    })
    const socket = await client(t, server)
    socket.write('request')
    t.equal((await allOf(socket)).toString('latin1'), 'whole', end)
  }
})

t.test('the end comes a tick after the bytes that came with it', async (t) => {
  const order: string[] = []
  const server = accepting(t, (socket) => {
    socket.on('data', () => process.nextTick(() => order.push('taken in')))
    socket.on('end', () => order.push('end'))
  })
  const client = await new Promise<ByteSocket>((resolve, reject) => {
    const url = `http://127.0.0.1:${server.tcpPort}`
    httpConnector(
      server.loop,
      url,
      5_000,
    )((...[cause, socket]) => {
      if (cause === null) resolve(socket)
      else reject(cause)
    })
  })
  t.teardown(() => client.destroy())
  await until(() => server.loop.size === 3)
  // One call of the kernel after the other: the event has both.
  client.end('request')
  await until(() => order.includes('end'))
  t.strictSame(order, ['taken in', 'end'])
})

t.test('a paused connection is not read, and its reset ends it all the same', async (t) => {
  let came = 0
  const server = accepting(t, (socket) => {
    socket.on('data', (bytes: Buffer) => {
      came += bytes.length
      socket.pause()
    })
  })
  const socket = await client(t, server)
  socket.write('first')
  await until(() => came === 5)
  socket.write('second')
  const [raw] = server.accepted as [RawSocket]
  raw.resume()
  await until(() => came === 11)
  socket.write('never read')
  const closed = new Promise((resolve) => raw.on('close', resolve))
  socket.resetAndDestroy()
  await closed
  t.equal(came, 11)
  t.ok(raw.destroyed)
})

t.test('nothing is written to what has ended, and whoever waits for it learns that', async (t) => {
  const server = accepting(t, () => undefined)
  await client(t, server)
  await until(() => server.accepted.length === 1)
  const [raw] = server.accepted as [RawSocket]
  raw.resetAndDestroy()
  const cause = await new Promise((resolve) => t.notOk(raw.write('late', resolve)))
  t.match(cause, { code: 'EPIPE' })
  raw.destroySoon()
  raw.end('later')
  t.equal(server.loop.size, 1)
})

t.test('an answer that is not taken is given up, one that moves is not', async (t) => {
  const server = accepting(t, (socket) => {
    socket.write(Buffer.alloc(16_000_000))
    socket.setTimeout(100)
  })
  const socket = await client(t, server)
  await until(() => server.accepted.length === 1)
  const [raw] = server.accepted as [RawSocket]
  await once(raw, 'timeout')
  t.ok(raw.writableLength > 0)
  raw.setTimeout(0)
  socket.destroy()
})

t.test('connections that do anything at all leave nothing behind', async (t) => {
  const behaviours: readonly ((socket: Socket) => void)[] = [
    (socket) => socket.destroy(),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.write('GET / HTTP/1.1\r\n'),
    (socket) => socket.end('half'),
    (socket) => socket.write('whole', () => socket.resetAndDestroy()),
    (socket) => socket.write('whole', () => socket.end()),
  ]
  const server = accepting(t, (socket) => {
    let length = 0
    socket.on('data', (bytes: Buffer) => {
      length += bytes.length
      if (length < 5) return
      if (length % 3 === 0) socket.resetAndDestroy()
      else socket.end(Buffer.alloc(100_000))
    })
    socket.on('end', () => socket.destroySoon())
  })
  const before = readdirSync('/proc/self/fd').length
  for (let round = 0; round < 40; round += 1) {
    const clients = await Promise.all(behaviours.map(async () => await client(t, server)))
    behaviours.forEach((behave, index) => behave(clients[index]!))
    for (const socket of clients) socket.resume()
    await until(() => server.accepted.length === (round + 1) * behaviours.length)
    for (const socket of clients) socket.destroy()
  }
  await until(() => server.accepted.every(({ destroyed }) => destroyed))
  t.equal(server.loop.size, 1, 'the listening socket alone is watched')
  await until(() => readdirSync('/proc/self/fd').length <= before)
})

t.test('an event that comes late never reaches the next owner of its number', async (t) => {
  const { loop, accepted, ...server } = accepting(t, () => undefined)
  const first = await client(t, { loop, accepted, ...server })
  await until(() => accepted.length === 1)
  const [raw] = accepted as [RawSocket]
  raw.watchNow()
  const { fd } = raw
  const seen: number[] = []
  // The event waits in the kernel while the number is given up and taken again.
  first.write('for the first owner')
  raw.destroy()
  const next = openListener('127.0.0.1', 0)
  t.equal(next, fd, 'the kernel gives the lowest free number')
  t.equal(loop.watchSocket(next, { ready: (events) => seen.push(events) }), 0)
  const other = await client(t, { loop, accepted, ...server })
  await until(() => accepted.length === 2)
  other.destroy()
  t.strictSame(
    seen.filter((events) => (events & 1) !== 0),
    [],
  )
  loop.forget(next)
  closeSync(next)
})

t.test('what has ended before its turn to be read is not kept', async (t) => {
  let kept = 0
  const server = accepting(t, (socket) => {
    socket.resetAndDestroy()
    if (!server.loop.isAllRead) kept += 1
  })
  const port = server.tcpPort
  for (let index = 0; index < 20; index += 1) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
    t.teardown(() => socket.destroy())
  }
  await until(() => server.accepted.length === 20)
  t.equal(kept, 0)
})

t.test('a listening socket that closes from within a connection accepts no other', async (t) => {
  const loop = loopOf(t)
  const [fd, other] = [openListener('127.0.0.1', 0), openListener('127.0.0.2', 0)]
  for (const each of [fd, other]) {
    listenSocket(each, 128)
    restoreNonBlocking(each)
  }
  t.teardown(() => closeSync(other))
  let accepted = 0
  const listener = new RawListener(loop, fd, {
    accepted: (each) => {
      accepted += 1
      closeSync(each)
      listener.close()
      // The number is taken again, by the socket of somebody else.
      taken = callLibc('fcntl', other, linux.F_DUPFD_CLOEXEC, fd)
    },
    failed: () => t.fail('accepted on a closed socket'),
    clock: systemClock,
  })
  let taken = -1
  const ends = [
    [fd, '127.0.0.1'],
    [other, '127.0.0.2'],
  ] as const
  for (const [each, host] of ends) {
    const socket = connect({ port: ownEnd(each)!.tcpPort, host })
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
  }
  await until(() => accepted > 0)
  t.equal(taken, fd)
  t.equal(accepted, 1)
  closeSync(taken)
})
