import t, { type Test } from 'tap'
import { connect } from 'node:net'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, type Milliseconds } from '../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { releaseLeftWorkers, takeFromLeftWorkers } from '../../../proxy/takeover/takeover.ts'
import { leaveSocket } from '../../support/left-socket.ts'
import { get, RawConnection } from '../../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../../support/recording-agent.ts'
import { openFolder } from '../../support/running-proxy.ts'
import {
  freeTcpPort,
  networkIdentity,
  routerIdentity,
  startWorker,
  type StartedWorker,
} from '../../support/start-worker.ts'

async function start(t: Test) {
  const agent = await RecordingAgent.start()
  const worker = await startWorker({
    agentSocket: agent.path,
    identities: [routerIdentity, networkIdentity],
  })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })
  return { agent, worker }
}

async function isRefused(target: { host: string; tcpPort: number }): Promise<boolean> {
  const socket = connect({ host: target.host, port: target.tcpPort })
  return await new Promise((resolve) => {
    socket.on('connect', () => resolve(false))
    socket.on('error', () => resolve(true))
  }).then((outcome) => (socket.destroy(), outcome as boolean))
}

t.test('a closed listener accepts no more, and what was requested there is answered', async (t) => {
  const { agent, worker } = await start(t)
  agent.answer = () => undefined
  const busy = await RawConnection.open(worker.target)
  await busy.write(get('/busy'))
  const asked = await agent.recorded(1)
  agent.answer = () => plainAnswer('idle')
  const idle = await RawConnection.open(worker.target)
  await idle.write(get('/idle'))
  await idle.answer()
  const elsewhere = await RawConnection.open(worker.targets[1]!)
  await elsewhere.write(get('/elsewhere'))
  await elsewhere.answer()

  worker.tell({ kind: 'close-listeners', listenerIds: [1, 99] })
  const idleRest = await idle.rest()
  const refused = await isRefused(worker.target)
  asked.socket.write(plainAnswer('late'))
  const late = await busy.answer()
  const busyRest = await busy.rest()
  await elsewhere.write(get('/still'))
  const still = await elsewhere.answer()

  t.equal(idleRest.length, 0)
  t.equal(refused, true)
  t.equal(late?.body.toString(), 'late')
  t.equal(late?.field('connection'), 'close')
  t.equal(busyRest.length, 0)
  t.equal(still?.status, 200, 'other listeners are not concerned')
  elsewhere.close()
})

t.test(
  'drain answers what is under way and a first request that comes late, then exits',
  async (t) => {
    const { agent, worker } = await start(t)
    agent.answer = () => undefined
    const busy = await RawConnection.open(worker.target)
    await busy.write(get('/busy'))
    const asked = await agent.recorded(1)
    const fresh = await RawConnection.open(worker.target)
    while ((await worker.metric('overlapd_proxy_connections_open')) < 2);

    worker.tell({ kind: 'drain', limit: 10_000 })
    agent.answer = () => plainAnswer('fresh')
    await fresh.write(get('/fresh'))
    const first = await fresh.answer()
    asked.socket.write(plainAnswer('late'))
    const late = await busy.answer()
    await worker.told('drained')

    t.equal(first?.body.toString(), 'fresh')
    t.equal(first?.field('connection'), 'close')
    t.equal(late?.body.toString(), 'late')
    t.equal(await worker.exited, 0)
  },
)

t.test('drain ends what is not done at its limit', async (t) => {
  const { agent, worker } = await start(t)
  agent.answer = () => undefined
  const stuck = await RawConnection.open(worker.target)
  await stuck.write(get('/stuck'))
  await agent.recorded(1)

  worker.tell({ kind: 'drain', limit: 50 })

  t.equal(await stuck.answer(), undefined)
  t.equal(await worker.exited, 0)
})

t.test('a worker whose supervisor is gone finishes and exits', async (t) => {
  const { agent, worker } = await start(t)
  agent.answer = () => undefined
  const busy = await RawConnection.open(worker.target)
  await busy.write(get('/busy'))
  const asked = await agent.recorded(1)

  worker.disconnect()
  asked.socket.write(plainAnswer('late'))
  const late = await busy.answer()

  t.equal(late?.body.toString(), 'late')
  t.equal(await worker.exited, 0)
})

/** Lets a worker outlive its supervisor as the supervisor does. @returns where the next one asks */
async function mayOutlive(t: Test, worker: StartedWorker, limit: Milliseconds): Promise<string> {
  const { path, fd } = await leaveSocket(join(openFolder(t), 'admin.sock'))
  worker.tellOf([fd], {
    kind: 'serve-until',
    order: { deadline: limit, takeover: { owner: process.geteuid?.() ?? 0 } },
  })
  // It has what was said before when it answers what was said after.
  await worker.metrics()
  closeSync(fd)
  return path
}

async function status(worker: StartedWorker): Promise<number | undefined> {
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/'))
  const answer = await guest.answer()
  guest.close()
  return answer?.status
}

t.test('a worker whose supervisor has died serves until the next one does', async (t) => {
  const { agent, worker } = await start(t)
  const path = await mayOutlive(t, worker, 60_000)

  worker.disconnect()
  t.equal(await status(worker), 200)
  const leftWorkers = await takeFromLeftWorkers({ path, clock: systemClock, logger: silentLogger })
  t.equal(leftWorkers?.length, 2)
  t.equal(await status(worker), 200, 'having given its sockets away it serves as before')
  agent.answer = () => undefined
  const busy = await RawConnection.open(worker.target)
  await busy.write(get('/busy'))
  const asked = await agent.recorded(3)
  await releaseLeftWorkers({ path, clock: systemClock, logger: silentLogger })
  for (const fd of leftWorkers ?? []) closeSync(fd)

  t.equal(await isRefused(worker.target), true, 'released, it accepts no more')
  asked.socket.write(plainAnswer('late'))
  t.equal((await busy.answer())?.body.toString(), 'late', 'and answers what it was asked')
  t.equal(await worker.exited, 0)
})

t.test('a worker that no supervisor follows ends by itself', async (t) => {
  const { worker } = await start(t)
  await mayOutlive(t, worker, 300)

  worker.disconnect()
  t.equal(await status(worker), 200)

  t.equal(await worker.exited, 0)
})

t.test('a worker that may not outlive its supervisor any more does not', async (t) => {
  const { worker } = await start(t)
  const path = await mayOutlive(t, worker, 60_000)
  worker.tell({ kind: 'serve-until', order: { deadline: 0 } })

  worker.disconnect()

  t.equal(await worker.exited, 0)
  t.equal(
    await takeFromLeftWorkers({ path, clock: systemClock, logger: silentLogger }),
    undefined,
    'and nobody listens for the next one',
  )
})

t.test('a worker whose supervisor dies while it drains just ends', async (t) => {
  const { agent, worker } = await start(t)
  await mayOutlive(t, worker, 60_000)
  agent.answer = () => undefined
  const busy = await RawConnection.open(worker.target)
  await busy.write(get('/busy'))
  const asked = await agent.recorded(1)

  worker.tell({ kind: 'drain', limit: 10_000 })
  worker.disconnect()
  asked.socket.write(plainAnswer('late'))

  t.equal((await busy.answer())?.body.toString(), 'late')
  t.equal(await worker.exited, 0)
})

t.test('a listener whose descriptor did not come is reported and the others serve', async (t) => {
  const { worker } = await start(t)

  worker.tell({
    kind: 'listeners',
    listeners: [{ ...routerIdentity, listenerId: 7, netns: 'qrouter-x', bound: 'nowhere' }],
  })
  const failed = await worker.told('listen-failed')
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/'))

  t.match(failed.failures, [{ listenerId: 7, cause: /descriptor/ }])
  t.equal((await guest.answer())?.status, 200)
  guest.close()
})

t.test('a worker binds listeners of its own on request', async (t) => {
  const { agent, worker } = await start(t)
  const free = await freeTcpPort()

  worker.tell({
    kind: 'own-listeners',
    listeners: [
      { ...routerIdentity, listenerId: 8, netns: '', bound: '', host: '127.0.0.1', tcpPort: free },
    ],
  })
  const { listenerIds } = await worker.told('listening')
  const guest = await RawConnection.open({ host: '127.0.0.1', tcpPort: free })
  await guest.write(get('/own'))

  t.strictSame(listenerIds, [8])
  t.equal((await guest.answer())?.status, 200)
  t.equal(agent.requests.at(-1)?.target, '/own')
  guest.close()
})

t.test('a guest over IPv6 and over a mapped address is named in canonical text', async (t) => {
  const agent = await RecordingAgent.start()
  const worker = await startWorker({ agentSocket: agent.path, host: '::' })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })

  for (const host of ['127.0.0.1', '::1']) {
    const guest = await RawConnection.open({ host, tcpPort: worker.target.tcpPort })
    await guest.write(get('/'))
    t.equal((await guest.answer())?.status, 200)
    t.strictSame(agent.requests.at(-1)!.valuesOf('x-forwarded-for'), [host])
    guest.close()
  }
})
