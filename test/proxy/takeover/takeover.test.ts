import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  systemClock,
  type Clock,
  type Count,
  type Milliseconds,
} from '../../../lib/runtime/clock.ts'
import { silentLogger, type Logger } from '../../../lib/runtime/log.ts'
import { InheritedSockets } from '../../../proxy/namespaces/inherited-sockets.ts'
import { TakeoverSocket, takeoverSocketPath } from '../../../proxy/takeover/takeover-socket.ts'
import { releaseLeftWorkers, takeFromLeftWorkers } from '../../../proxy/takeover/takeover.ts'
import { sendDescriptors } from '../../../lib/linux/descriptor-messages.ts'
import {
  bindSocket,
  callLibc,
  connectSocket,
  linux,
  listenSocket,
  openSocket,
  receiveBytes,
  sendBytes,
} from '../../../lib/linux/libc.ts'
import { unixAddress } from '../../../proxy/linux/unix-address.ts'
import {
  takeoverWords,
  serveAfterCrash,
  type ServeAfterCrashOptions,
} from '../../../proxy/worker/process/serve-after-crash.ts'
import { leaveSocket, type LeftSocket } from '../../support/left-socket.ts'
import { openFolder } from '../../support/running-proxy.ts'

const owner = process.geteuid?.() ?? 0
const patience: Milliseconds = 60_000

// Nothing else does while everybody waits by a clock.
const alive = setInterval(() => undefined, patience)
t.teardown(() => clearInterval(alive))

function copyOf(fd: number): number {
  return callLibc('fcntl', fd, linux.F_DUPFD_CLOEXEC, 0)
}

function leftSocket(t: Test): Promise<LeftSocket> {
  return leaveSocket(join(openFolder(t), 'admin.sock'))
}

interface LeftWorker {
  /** Resolves when it has been released, or gave up. */
  readonly over: Promise<void>
}

/** A worker without a supervisor, as far as the next supervisor sees it. */
function leftWorker(
  socket: number,
  descriptors: readonly number[],
  options: Partial<ServeAfterCrashOptions> = {},
): LeftWorker {
  const over = serveAfterCrash({
    clock: systemClock,
    limit: patience,
    socket: copyOf(socket),
    owner,
    descriptors: () => descriptors,
    isToEnd: () => false,
    ...options,
  }).then((finish) => finish())
  return { over }
}

async function listenOnLoopback(t: Test): Promise<number> {
  const server: Server = createServer()
  t.teardown(() => server.close())
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  return (server as Server & { _handle: { fd: number } })._handle.fd
}

function inodes(fds: readonly number[]): readonly number[] {
  return fds.map((fd) => fstatSync(fd).ino)
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd)
}

/** Keeps what is said beside the levels. */
function hearingLogger(): { readonly logger: Logger; readonly said: string[] } {
  const said: string[] = []
  const hear = (_fields: unknown, message: string): void => void said.push(message)
  return { logger: { ...silentLogger, info: hear, warn: hear, error: hear }, said }
}

/** A clock whose every wait is over at once, with its length. What others do meanwhile gets its turn. */
function hastyClock(): Clock {
  let now = 0
  return {
    ...systemClock,
    now: () => now,
    async sleep(span) {
      now += span
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    },
  }
}

/** Somebody else at the path, who made the socket by himself. */
function impostor(t: Test): { readonly path: string; readonly fd: number } {
  const path = takeoverSocketPath(join(openFolder(t), 'admin.sock'))
  const fd = openSocket(linux.AF_UNIX, linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
  bindSocket(fd, unixAddress(path))
  listenSocket(fd, 8)
  t.teardown(() => closeSync(fd))
  return { path, fd }
}

/** Accepts the connection, which must be there by the next turn. */
async function acceptOn(fd: number): Promise<number> {
  for (let turns = 0; turns < 1_000; turns += 1) {
    try {
      return callLibc('accept4', fd, 0, 0, linux.SOCK_CLOEXEC | linux.SOCK_NONBLOCK)
    } catch {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
  }
  throw new Error('Nobody connected')
}

function connectTo(path: string): number {
  const fd = openSocket(linux.AF_UNIX, linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
  connectSocket(fd, unixAddress(path))
  return fd
}

async function untilEnded(connection: number): Promise<Count> {
  const bytes = Buffer.alloc(64)
  let received = 0
  for (;;) {
    try {
      const count = receiveBytes(connection, bytes)
      if (count === 0) return received
      received += count
    } catch (cause) {
      if (!String(cause).includes('EAGAIN')) return received
      await systemClock.sleep(2)
    }
  }
}

if (process.platform !== 'linux') {
  t.comment('Descriptors are handed over on Linux alone: nothing to test here')
} else {
  t.test('sockets are taken once, from one of many, and all of them are released', async (t) => {
    const { path, fd } = await leftSocket(t)
    const listening = await Promise.all(Array.from({ length: 3 }, () => listenOnLoopback(t)))
    const workers = [
      leftWorker(fd, listening),
      leftWorker(fd, listening),
      leftWorker(fd, listening),
    ]
    closeSync(fd)
    const { logger, said } = hearingLogger()

    const leftWorkers = await takeFromLeftWorkers({ path, clock: systemClock, logger })
    t.same(inodes(leftWorkers ?? []), inodes(listening), 'the very sockets')
    t.equal(new Set(leftWorkers).size, 3)
    closeAll(leftWorkers ?? [])
    await releaseLeftWorkers({ path, clock: systemClock, logger })

    await Promise.all(workers.map(({ over }) => over))
    t.match(said, [/left its workers serving$/, /^Took over/])
    t.equal(await takeFromLeftWorkers({ path, clock: systemClock, logger }), undefined)
    t.equal(said.length, 2, 'where nobody listens there is nothing to say')
  })

  t.test('more sockets than a message carries arrive all, in order', async (t) => {
    const { path, fd } = await leftSocket(t)
    const listening = await Promise.all(Array.from({ length: 30 }, () => listenOnLoopback(t)))
    const many = Array.from({ length: 450 }, (_, index) => listening[index % 30]!)
    const { over } = leftWorker(fd, many)
    closeSync(fd)

    const leftWorkers = await takeFromLeftWorkers({
      path,
      clock: systemClock,
      logger: silentLogger,
    })
    t.same(inodes(leftWorkers ?? []), inodes(many))
    closeAll(leftWorkers ?? [])
    await releaseLeftWorkers({ path, clock: systemClock, logger: silentLogger })
    await over
  })

  t.test('a supervisor that takes and sends nothing more changes nothing', async (t) => {
    const { path, fd } = await leftSocket(t)
    const { over } = leftWorker(fd, [await listenOnLoopback(t)])
    closeSync(fd)
    for (let round = 0; round < 3; round += 1) {
      const leftWorkers = await takeFromLeftWorkers({
        path,
        clock: systemClock,
        logger: silentLogger,
      })
      t.equal(leftWorkers?.length, 1)
      closeAll(leftWorkers ?? [])
      if (round === 2) await releaseLeftWorkers({ path, clock: systemClock, logger: silentLogger })
    }
    await over
  })

  t.test('the life of a left worker is bounded by itself', async (t) => {
    const { path, fd } = await leftSocket(t)
    const clock = hastyClock()
    const { over } = leftWorker(fd, [], { clock, limit: 30_000 })
    closeSync(fd)
    await over
    t.ok(clock.now() >= 30_000 && clock.now() < 31_000, `${clock.now()}`)
    t.throws(() => connectTo(path), { message: /ECONNREFUSED/ })
  })

  t.test('a left worker that is to end does so', async (t) => {
    const { fd } = await leftSocket(t)
    let isToEnd = false
    const { over } = leftWorker(fd, [], { isToEnd: () => isToEnd })
    closeSync(fd)
    isToEnd = true
    await over
  })

  t.test(
    'a left worker gives nothing to another user, and nothing for what is no word',
    async (t) => {
      const { path, fd } = await leftSocket(t)
      const listening = [await listenOnLoopback(t)]
      let isToEnd = false
      const stranger = leftWorker(fd, listening, { owner: owner + 1, isToEnd: () => isToEnd })
      for (const word of Object.values(takeoverWords)) {
        const connection = connectTo(path)
        sendBytes(connection, Buffer.of(word))
        t.equal(await untilEnded(connection), 0, `word ${word} of another user`)
        closeSync(connection)
      }
      isToEnd = true
      await stranger.over

      const { over } = leftWorker(fd, listening, { clock: hastyClock() })
      closeSync(fd)
      for (const bytes of [Buffer.of(0), Buffer.of(3), Buffer.from('{}')]) {
        const connection = connectTo(path)
        sendBytes(connection, bytes)
        t.equal(await untilEnded(connection), 0, bytes.toString('hex'))
        closeSync(connection)
      }
      const silent = connectTo(path)
      t.equal(await untilEnded(silent), 0, 'who says nothing is not waited for')
      closeSync(silent)
      await over
    },
  )

  t.test('a taker that is gone in the middle does not end a left worker', async (t) => {
    const { path, fd } = await leftSocket(t)
    const listening = await listenOnLoopback(t)
    const { over } = leftWorker(
      fd,
      Array.from({ length: 1_000 }, () => listening),
    )
    closeSync(fd)
    const connection = connectTo(path)
    sendBytes(connection, Buffer.of(takeoverWords.take))
    closeSync(connection)

    const leftWorkers = await takeFromLeftWorkers({
      path,
      clock: systemClock,
      logger: silentLogger,
    })
    t.equal(leftWorkers?.length, 1_000)
    closeAll(leftWorkers ?? [])
    await releaseLeftWorkers({ path, clock: systemClock, logger: silentLogger })
    await over
  })

  t.test('who does not answer costs some seconds, and nothing is taken', async (t) => {
    const { path } = impostor(t)
    const { logger, said } = hearingLogger()
    const clock = hastyClock()
    const leftWorkers = await takeFromLeftWorkers({ path, clock, logger })
    t.same(leftWorkers, [])
    t.ok(clock.now() < 10_000, `${clock.now()}`)
    await releaseLeftWorkers({ path, clock, logger })
    t.ok(clock.now() < 20_000, `${clock.now()}`)
    t.match(said, [/./, /./, /do not stop/])
  })

  t.test('who sends without end is not listened to without end', async (t) => {
    const { path, fd } = impostor(t)
    const file = openSync('/dev/null', 'r')
    t.teardown(() => closeSync(file))
    const { logger, said } = hearingLogger()
    const taken = takeFromLeftWorkers({ path, clock: systemClock, logger })
    const connection = await acceptOn(fd)
    const batch = Array.from({ length: 200 }, () => file)
    let sent = 0
    const timer = setInterval(() => {
      try {
        for (;;) {
          sendDescriptors(connection, batch)
          sent += batch.length
        }
      } catch {
        // It is behind, or has gone.
      }
    }, 1)
    const leftWorkers = await taken
    clearInterval(timer)
    closeSync(connection)

    t.ok(leftWorkers !== undefined && sent > 0)
    t.ok(said.length > 0)
    closeAll(leftWorkers ?? [])
  })

  t.test(
    'no socket but a listening TCP socket is kept, and what is no socket stays open',
    async (t) => {
      const { path, fd } = await leftSocket(t)
      const listening = await listenOnLoopback(t)
      const inUnix = impostor(t)
      const file = openSync('/dev/null', 'r')
      const datagram = openSocket(linux.AF_INET, linux.SOCK_DGRAM)
      const unbound = openSocket(linux.AF_INET, linux.SOCK_STREAM)
      t.teardown(() => closeAll([file, datagram, unbound]))
      const { over } = leftWorker(fd, [file, datagram, unbound, inUnix.fd, fd])
      closeSync(fd)

      const leftWorkers = await takeFromLeftWorkers({
        path,
        clock: systemClock,
        logger: silentLogger,
      })
      const fds = leftWorkers ?? []
      t.equal(fds.length, 5)
      const inherited = new InheritedSockets(silentLogger)
      inherited.add(fds)
      t.equal(inherited.count, 0)
      const [noSocket, ...sockets] = fds
      t.ok(fstatSync(noSocket!), 'whose end could take as long as its owner likes')
      for (const one of sockets) t.throws(() => fstatSync(one), { code: 'EBADF' })
      closeSync(noSocket!)
      await releaseLeftWorkers({ path, clock: systemClock, logger: silentLogger })
      await over
      t.ok(fstatSync(listening))
    },
  )

  t.test('a supervisor trusts only a socket that its own user made', async (t) => {
    if (owner !== 0) {
      t.plan(0, 'only root can be another user for a moment')
      return
    }
    const path = takeoverSocketPath(join(openFolder(t), 'admin.sock'))
    const fd = openSocket(linux.AF_UNIX, linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
    t.teardown(() => closeSync(fd))
    bindSocket(fd, unixAddress(path))
    process.seteuid?.(65_534)
    listenSocket(fd, 8)
    process.seteuid?.(0)
    const { over } = leftWorker(fd, [await listenOnLoopback(t)], { clock: hastyClock() })
    const { logger, said } = hearingLogger()

    const leftWorkers = await takeFromLeftWorkers({ path, clock: systemClock, logger })

    t.equal(leftWorkers, undefined)
    t.match(said, ['Took no sockets from a process of another user'])
    await over
  })

  t.test('the socket is for its user alone, and goes with an orderly end', async (t) => {
    const path = takeoverSocketPath(join(openFolder(t), 'admin.sock'))
    const told: (Milliseconds | undefined)[] = []
    const make = (limit: Milliseconds): TakeoverSocket =>
      new TakeoverSocket({
        path,
        limit,
        onChange: (takeover) => told.push(takeover?.deadline),
        clock: systemClock,
        logger: silentLogger,
      })
    await make(0).start()
    t.same(told, [])
    t.throws(() => statSync(path), { code: 'ENOENT' })

    const socket = make(1_000)
    await socket.start()
    await socket.start()
    t.equal(statSync(path).mode & 0o777, 0o600)
    socket.close()
    socket.close()
    t.same(told, [1_000, undefined])
    t.throws(() => statSync(path), { code: 'ENOENT' })
  })

  t.test('what others put in the way is left alone, and is no reason not to serve', async (t) => {
    const path = takeoverSocketPath(join(openFolder(t), 'admin.sock'))
    mkdirSync(`${path}.former`)
    writeFileSync(path, 'a file')
    const { logger, said } = hearingLogger()
    const socket = new TakeoverSocket({
      path,
      limit: 1_000,
      onChange: () => t.fail('there is nothing to give'),
      clock: systemClock,
      logger,
    })
    await socket.start()
    socket.close()
    t.equal(readFileSync(path, 'utf8'), 'a file')
    t.same(said, ['Workers will end if this process dies'])
    t.equal(await takeFromLeftWorkers({ path, clock: systemClock, logger }), undefined)
  })

  t.test('a path that cannot be used is reported, and is no reason not to serve', async (t) => {
    const { logger, said } = hearingLogger()
    const path = `/tmp/${'x'.repeat(120)}`
    const long = new TakeoverSocket({
      path,
      limit: 1_000,
      onChange: () => t.fail('there is nothing to give'),
      clock: systemClock,
      logger,
    })
    await long.start()
    t.same(said, ['Workers will end if this process dies'])
    t.equal(await takeFromLeftWorkers({ path, clock: systemClock, logger }), undefined)
    long.close()
  })
}
