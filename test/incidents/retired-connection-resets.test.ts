// A kept connection was closed (by a stop, with its namespace, by its time limit) while the guest's next request was under way: the guest
// got a reset. Right: the connection ends with its end, and what still comes is read and dropped (RFC 9112 §9.6).
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import {
  startWorker,
  type StartedWorker,
  type StartWorkerOptions,
} from '../support/start-worker.ts'

async function start(t: Test, options: StartWorkerOptions = {}) {
  const agent = await RecordingAgent.start()
  const worker = await startWorker({ agentSocket: agent.path, ...options })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })
  const { host, tcpPort } = worker.target
  const open = () => RawConnection.over(connect({ host, port: tcpPort, allowHalfOpen: true }))
  return { agent, worker, open }
}

/** Sends the next request, which the worker's end has crossed, in two pieces: a reset that answers the first fails the second. */
async function crosses(t: Test, { socket }: RawConnection): Promise<void> {
  const [head, rest] = ['GET /next HTTP/1.1\r\n', 'Host: a\r\n\r\n']
  for (const piece of [head, rest]) {
    const cause = await new Promise((resolve) => socket.write(piece, resolve))
    t.notOk(cause, 'no reset')
  }
  socket.end()
  if (!socket.closed) await once(socket, 'close')
  t.equal(socket.errored, null)
}

const ends: Readonly<Record<string, (worker: StartedWorker) => void>> = {
  'a stop': (worker) => worker.tell({ kind: 'drain', limit: 60_000 }),
  'the end of its namespace': (worker) =>
    worker.tell({ kind: 'close-listeners', listenerIds: [1] }),
}

for (const [why, end] of Object.entries(ends)) {
  t.test(`a request that crosses ${why} is not reset`, async (t) => {
    const { worker, open } = await start(t)
    const guest = await open()
    await guest.write(get('/'))
    t.equal((await guest.answer())?.status, 200)
    end(worker)
    t.equal((await guest.rest()).length, 0)
    await crosses(t, guest)
  })

  t.test(`neither is one that was sent ahead when ${why} came`, async (t) => {
    const { agent, worker, open } = await start(t)
    const guest = await open()
    const whole = plainAnswer(Buffer.alloc(100_000, 'x'))
    agent.answer = ({ target, socket }) => {
      if (target === '/ahead') return plainAnswer('ahead')
      return void socket.write(whole.subarray(0, 50_000))
    }
    await guest.write(get('/'))
    const { socket } = await agent.recorded(1)
    await guest.received(40_000)
    end(worker)
    // Its messages are taken in their order.
    await worker.metric('overlapd_proxy_connections_open')
    await guest.write(get('/ahead'))
    socket.write(whole.subarray(50_000))
    t.equal((await guest.answer())?.body.length, 100_000)
    // A stop that has time for it takes one more, since the guest could not know, and says that it is the last.
    const ahead = await guest.answer()
    t.equal((await guest.rest()).length, 0)
    if (ahead !== undefined) t.match([why, ahead.field('connection')], ['a stop', 'close'])
    await crosses(t, guest)
  })
}

/** The second and third are read by Node's server, whose last answer was taken for one that the client had named. */
const requests: Readonly<Record<string, string>> = {
  GET: get('/'),
  'GET with TE': get('/', 'TE: trailers'),
  HEAD: get('/').replace('GET', 'HEAD'),
}

for (const [name, request] of Object.entries(requests)) {
  t.test(`neither is one that crosses the last answer of a connection, to ${name}`, async (t) => {
    const { open } = await start(t, { limits: { requestsPerConnection: 2 } })
    const guest = await open()
    for (const connection of ['keep-alive', 'close']) {
      await guest.write(request)
      const answer = await guest.answer({ isHead: name === 'HEAD' })
      t.equal(answer?.field('connection'), connection)
    }
    t.equal((await guest.rest()).length, 0)
    await crosses(t, guest)
  })
}

t.test('neither is one that crosses the time limit of an idle connection', async (t) => {
  const { open } = await start(t, { limits: { timeoutKeepAlive: 50 } })
  const guest = await open()
  await guest.write(get('/'))
  t.equal((await guest.answer())?.status, 200)
  t.equal((await guest.rest()).length, 0)
  await crosses(t, guest)
})
