import t, { type Test } from 'tap'
import { connect } from 'node:net'
import { get, RawConnection } from '../../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../../support/recording-agent.ts'
import {
  freeTcpPort,
  networkIdentity,
  routerIdentity,
  startWorker,
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

t.test('a closed listener accepts no more, and what was asked there is answered', async (t) => {
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

t.test('a worker whose opener is gone finishes and exits', async (t) => {
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

t.test('a listener whose descriptor did not come is reported and the others serve', async (t) => {
  const { worker } = await start(t)

  worker.tell({
    kind: 'listeners',
    listeners: [{ ...routerIdentity, listenerId: 7, netns: 'qrouter-x', bound: 'nowhere' }],
  })
  const failed = await worker.told('listen-failed')
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/'))

  t.match(failed, { listenerId: 7, cause: /descriptor/ })
  t.equal((await guest.answer())?.status, 200)
  guest.close()
})

t.test('a worker binds listeners of its own where it is told to', async (t) => {
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
