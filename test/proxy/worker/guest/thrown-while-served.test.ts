/** What is thrown while one connection is served ends that connection, is counted, and reaches nobody else, wherever it comes from. */
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RefusalLog } from '../../../../lib/observe/refusal-log.ts'
import { systemClock } from '../../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import type { AnswerReceiver } from '../../../../proxy/worker/shared/answer-receiver.ts'
import type { ForwardedRequest } from '../../../../proxy/worker/forwarding/forwarder.ts'
import { GuestServer } from '../../../../proxy/worker/guest/guest-server.ts'
import { Ledger, workerBudgets } from '../../../../proxy/worker/guest/ledger.ts'
import { RequestLog } from '../../../../proxy/worker/guest/request-log.ts'
import { RequestIds } from '../../../../proxy/worker/guest/request-ids.ts'
import { KnownFacts } from '../../../../proxy/worker/guest/sent-facts.ts'
import type { WorkerContext } from '../../../../proxy/worker/guest/worker-context.ts'
import { WorkerMetrics } from '../../../../proxy/worker/shared/metrics.ts'
import { get, RawConnection, type RawTarget } from '../../../support/raw-http.ts'
import { loopOf } from '../../../support/raw-loop.ts'
import { freeTcpPort, networkIdentity } from '../../../support/start-worker.ts'

/** Answers like an agent that is always right. */
const forwarder = {
  isCrowded: false,
  send({ target }: ForwardedRequest, _guest: unknown, receiver: AnswerReceiver) {
    let isCancelled = false
    const late = target === '/late' ? 100 : 0
    setTimeout(() => {
      if (isCancelled) return
      const size = target === '/long' ? 3 * 1024 * 1024 : 2
      receiver.answerHead(200, ['Content-Length', String(size)], undefined)
      receiver.answerData(Buffer.alloc(size, 'x'))
      receiver.answerEnd()
    }, late)
    return { resume: () => undefined, cancel: () => void (isCancelled = true) }
  },
  noteGuest: () => undefined,
  noteServed: () => undefined,
  dropScope: () => undefined,
}

class Trap {
  /** What throws from now on, as `object.method`. */
  armed = ''
  sprung = 0
  /** Everything that was called. */
  readonly seen = new Set<string>()

  /** The same object, one method of which can be made to throw. */
  around<Subject extends object>(name: string, subject: Subject): Subject {
    return new Proxy(subject, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        const place = `${name}.${String(key)}`
        return (...words: unknown[]): unknown => {
          this.seen.add(place)
          if (this.armed === place) {
            this.sprung += 1
            throw new Error(`${place} is trapped`)
          }
          const result: unknown = Reflect.apply(value, target, words)
          return name === 'ledger' && key === 'open' && typeof result === 'object'
            ? this.around('holding', result as object)
            : result
        }
      },
      set: (target, key, value) => Reflect.set(target, key, value, target),
    })
  }
}

interface Started {
  readonly trap: Trap
  readonly metrics: WorkerMetrics
  readonly ledger: Ledger
  readonly target: RawTarget
}

async function start(t: Test): Promise<Started> {
  const trap = new Trap()
  const metrics = new WorkerMetrics()
  const clock = systemClock
  const limits = {
    headBytes: 16_384,
    bodyBytes: 65_536,
    timeoutHead: 500,
    timeoutRequest: 10_000,
    timeoutKeepAlive: 10_000,
    connectionsPerSource: 100,
    connectionsPerNamespace: 100,
    requestsPerConnection: 100,
  }
  const ledger = new Ledger(
    { ...workerBudgets, connectionsPerNamespace: 100, requestsPerSource: 100 },
    clock,
  )
  const services = {
    forwarder: trap.around('forwarder', forwarder),
    limits,
    metrics: trap.around('metrics', metrics),
    log: trap.around('log', new RefusalLog({ ...silentLogger, isLevelEnabled: () => true }, clock)),
    requestIds: trap.around('requestIds', new RequestIds()),
    facts: trap.around('facts', new KnownFacts()),
    requests: trap.around('requests', new RequestLog(clock)),
    ledger: trap.around('ledger', ledger),
    clock: trap.around('clock', clock),
  } as unknown as WorkerContext
  const server = new GuestServer({
    services,
    loop: loopOf(t),
    backlog: 100,
    savedSyn: () => undefined,
    ingressPort: () => undefined,
  })
  const port = await freeTcpPort()
  server.listen(
    { ...networkIdentity, listenerId: 1, netns: 'n', bound: 'b' },
    { host: '127.0.0.1', port },
  )
  t.teardown(() => {
    trap.armed = ''
    return server.drain(10)
  })
  return { trap, metrics, ledger, target: { host: '127.0.0.1', tcpPort: port } }
}

const close = 'Connection: close'

/** Guests that do everything there is to do, each until its connection has ended. */
const guests: Readonly<Record<string, (connection: RawConnection) => Promise<void>>> = {
  'a plain request': async (connection) => {
    void connection.write(get('/', close))
    await connection.rest()
  },
  'a request with a body': async (connection) => {
    void connection.write(`POST / HTTP/1.1\r\nHost: a\r\n${close}\r\nContent-Length: 2\r\n\r\nab`)
    await connection.rest()
  },
  'one that waits for leave to send its body': async (connection) => {
    void connection.write(
      `POST / HTTP/1.1\r\nHost: a\r\n${close}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
    )
    await connection.received(10)
    void connection.write('ab')
    await connection.rest()
  },
  'several at once': async (connection) => {
    void connection.write(`${get('/')}${get('/')}${get('/', close)}`)
    await connection.rest()
  },
  'no request': async (connection) => {
    void connection.write('BREW \0\r\n\r\n')
    await connection.rest()
  },
  'a refused method': async (connection) => {
    void connection.write('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')
    await connection.rest()
  },
  'an expectation that nobody has': async (connection) => {
    void connection.write(get('/', 'Expect: x', close))
    await connection.rest()
  },
  'a body that is too large': async (connection) => {
    void connection.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n')
    await connection.rest()
  },
  nothing: async (connection) => {
    await connection.rest()
  },
  'half a head': async (connection) => {
    void connection.write('GET / HTTP/1.1\r\nHos')
    await connection.rest()
  },
  'a request whose answer is long': async (connection) => {
    connection.socket.pause()
    void connection.write(get('/long', close))
    await pause(20)
    connection.socket.resume()
    await connection.rest()
  },
  'a long answer not read': async (connection) => {
    connection.socket.pause()
    void connection.write(get('/long', close))
    await pause(20)
    connection.reset()
  },
  'nobody who waits for the answer': async (connection) => {
    void connection.write(get('/late'))
    await pause(20)
    connection.reset()
  },
}

async function everyGuest({ target }: Started): Promise<void> {
  await Promise.all(
    Object.values(guests).map(async (act) => {
      const connection = await RawConnection.open(target)
      await act(connection)
      connection.close()
    }),
  )
}

t.test('wherever something is thrown, it ends one connection', async (t) => {
  const untouched = await start(t)
  untouched.trap.seen.clear()
  await everyGuest(untouched)
  const places = [...untouched.trap.seen].toSorted()
  t.ok(places.length > 10, places.join(', '))

  for (const place of places) {
    const started = await start(t)
    const { trap, metrics, ledger, target } = started
    // Of another source: what is not given back counts on their own account.
    const bystander = await RawConnection.over(
      connect({ host: target.host, port: target.tcpPort, localAddress: '127.0.0.2' }),
    )
    void bystander.write(get('/'))
    await bystander.answer()
    const before = ledger.bytes
    trap.armed = place
    await everyGuest(started)
    trap.armed = ''
    while (metrics.connectionsOpen > 1) await pause(10)
    t.ok(trap.sprung > 0, place)
    // What cannot be counted cannot be given back either.
    if (!/^(?:ledger|holding)\./.test(place))
      t.equal(ledger.bytes, before, `${place} is given back`)
    t.ok(metrics.defects > 0, `${place} is counted`)
    void bystander.write(get('/'))
    t.equal((await bystander.answer())?.status, 200, `${place} hurts nobody else`)
    bystander.close()
  }
})
