// One guest with 17 addresses took all connections of its namespace; guests that did not read large answers took all of the agent's;
// and a node with 100 containers behind one address was refused. Right: whoever holds most gives way, and honest requests wait their turn.
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { askOnce, requestText } from '../bench/guest-request.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { makeRoutersWithGuests } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn } from '../support/running-proxy.ts'
import { startWorker, type StartWorkerOptions } from '../support/start-worker.ts'

async function start(t: Test, options: StartWorkerOptions) {
  const agent = await RecordingAgent.start()
  const worker = await startWorker({ agentSocket: agent.path, ...options })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })
  return { agent, worker }
}

t.test('a guest with 17 addresses does not keep its neighbour out', async (t) => {
  const { worker } = await start(t, { limits: { connectionsPerNamespace: 170 } })
  const { host, tcpPort } = worker.target
  const greedy = await Promise.all(
    Array.from({ length: 170 }, async (_, index) => {
      const localAddress = `127.0.1.${1 + (index % 17)}`
      return await RawConnection.over(connect({ host, port: tcpPort, localAddress }))
    }),
  )
  for (let turn = 0; turn < 37; turn += 1) {
    t.equal((await askRaw(worker.target, get('/neighbour')))?.status, 200)
  }
  for (const guest of greedy) guest.close()
})

t.test('unread answers do not keep the agent from others', async (t) => {
  const { agent, worker } = await start(t, { agent: { connections: 4 } })
  const large = plainAnswer(Buffer.alloc(8 * 1024 * 1024, 'x'))
  agent.answer = ({ target }) => (target === '/large' ? large : plainAnswer('ok'))
  const { host, tcpPort } = worker.target
  const greedy = Array.from({ length: 8 }, () => {
    const socket = connect({ host, port: tcpPort, localAddress: '127.0.1.1' })
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(get('/large'))
    return socket
  })
  await agent.recorded(4)

  for (let turn = 0; turn < 20; turn += 1) {
    t.equal((await askRaw(worker.target, get('/neighbour')))?.status, 200)
  }
  t.ok((await worker.metric('overlapd_proxy_connections_evicted_total', { limit: 'agent' })) > 0)
  for (const socket of greedy) socket.destroy()
})

t.test('400 connections at once from one address are all answered', async (t) => {
  const { worker } = await start(t, {
    limits: { connectionsPerSource: 64 },
    agent: { timeoutConnect: 5_000 },
  })
  const guests = await Promise.all(
    Array.from({ length: 400 }, () => RawConnection.open(worker.target)),
  )
  const answers = await Promise.all(
    guests.map(async (guest) => {
      await guest.write(get('/container'))
      const answer = await guest.answer()
      return answer?.field('x-overlapd-reason') ?? answer?.status
    }),
  )
  t.strictSame([...new Set(answers)], [200])
  for (const guest of guests) guest.close()
})

if (skipUnlessPrivileged(t)) {
  t.test('so are 100, 200 and 400 that two workers share', async (t) => {
    const stage = await makeStage(t)
    const [router] = await makeRoutersWithGuests(t, stage.netnsFolder, 1)
    const proxy = await startProxyOn(t, stage, { set: ['workers.count=2'] })
    await proxy.until('the router', ({ namespaces: [first], workers }) => {
      const areReady = workers.every(({ state }) => state === 'ready')
      return areReady && first?.state === 'serving' && first.interception === 'applied'
    })
    const { target } = router!
    for (const count of [100, 200, 400]) {
      const endings = await Promise.all(
        Array.from({ length: count }, async () => {
          return (await askOnce(target, requestText(target.path, false))).kind
        }),
      )
      t.strictSame([...new Set(endings)], ['right'], `${count} at once`)
    }
  })
}
