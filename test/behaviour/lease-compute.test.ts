import t from 'tap'
import { agentConfig, type AgentConfig } from '../../agent-side/config/config.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { guestPort, ioTurns, startLeasePair } from '../support/lease-pair.ts'
import { RecordingUpstream, novaLike } from '../support/recording-upstream.ts'
import { get } from '../support/raw-http.ts'
import { instanceId, portId } from '../conformance/topology.ts'

const port = guestPort(1)

for (const status of [403, 404]) {
  t.test(
    `compute's ${status} ends the lease, and the request goes once more over the agent`,
    async (t) => {
      const { directory, upstream, worker, agent } = await startLeasePair(t)
      directory.setPorts(port)
      directory.remember()
      await worker.askUntilLeased(port)
      upstream.answer = (_request, response) => void response.writeHead(status).end('as Nova says')
      const answer = await worker.ask(port)
      t.equal(answer.status, status)
      t.equal(answer.body.toString(), 'as Nova says')
      t.equal(await worker.direct(), 1)
      t.equal(await worker.leases(), 0)
      t.equal(upstream.requests.length, 3)
      await worker.ask(port)
      t.equal(await worker.direct(), 1, 'no lease without good data')
      // A 404 of Nova's is an answer.
      const refused = status === 404 ? [] : [{ status }, { status }]
      t.match(await agent.json('/status'), { recentRefusals: refused })
    },
  )
}

t.test('an instance that compute no longer knows is looked up once more', async (t) => {
  const known = new Set<string>([instanceId(1)])
  const { directory, worker, pass } = await startLeasePair(t, {
    answer: novaLike('s3cr3t', (id) => known.has(id)),
  })
  directory.setPorts(port)
  directory.remember()
  // The root is answered to everybody, so that it vouches for nobody.
  await worker.ask(port, '/')
  await worker.untilLeases(1)
  await pass(2_500)
  // The same port, with its address and MAC, is given to another instance; nobody tells.
  directory.setPorts(guestPort(2, { portId: portId(1), macAddress: port.macAddress }))
  directory.remember()
  known.clear()
  known.add(instanceId(2))
  const answer = await worker.ask(port)
  t.equal(answer.body.toString(), instanceId(2))
  t.equal(await worker.direct(), 1)
})

t.test('another secret at compute costs one request more and no refusal', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t, { nextSecret: 'new' })
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  upstream.answer = novaLike('new')
  t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  await worker.untilLeases(1)
  t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  t.equal(await worker.direct(), 2, 'the new lease is signed with the other one')
})

t.test('a worker that does not reach an endpoint finds out by itself when it does', async (t) => {
  const { directory, upstream, worker, pass } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  await upstream.stopListening()
  const refused = await worker.ask(port)
  t.equal(refused.status, 503, 'the agent cannot reach it either, and says so')
  t.equal(refused.field('x-overlapd-reason'), 'compute_unreachable')
  t.equal(await worker.direct(), 1)
  await worker.ask(port)
  await worker.ask(port)
  const tried = await worker.direct()
  t.ok(tried <= 2, 'a connection that was kept alive may end first, without saying anything')
  t.match(await worker.forwarding(), { way: 'agent', why: 'compute_unreached' })
  await upstream.listen()
  await pass(1_500)
  t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  t.equal(await worker.direct(), tried, 'no guest waits for what may not come')
  while ((await worker.forwarding()).way !== 'compute') await ioTurns()
  t.ok(upstream.requests.some(({ target }) => target === '/'))
  await worker.untilLeases(1)
  t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  t.equal(await worker.direct(), tried + 1)
})

t.test('a worker reports which way requests go, and why', async (t) => {
  const { clock, directory, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  while ((await worker.forwarding()).why === 'no_leases') await ioTurns()
  t.match(await worker.forwarding(), { way: 'agent', why: 'none_granted' })
  await worker.askUntilLeased(port)
  await worker.ask(port)
  t.match(await worker.forwarding(), { way: 'compute' })
  clock.pass(3_000)
  t.match(await worker.forwarding(), { way: 'agent', why: 'no_leases' }, 'no heartbeat came')
})

t.test('the agent finds another endpoint where a lease names none that works', async (t) => {
  const second = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => second.close())
  const spare = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => spare.close())
  const { directory, worker } = await startLeasePair(t, {
    config: { compute: { upstreams: [second.url, spare.url] } },
  })
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  await second.stopListening()
  for (let turn = 0; turn < 4; turn += 1) {
    t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  }
  t.ok(spare.requests.length >= 4)
})

for (const status of [502, 503, 504]) {
  t.test(
    `compute's ${status} sends the request again over the agent, the lease stays`,
    async (t) => {
      const { directory, upstream, worker } = await startLeasePair(t)
      directory.setPorts(port)
      directory.remember()
      await worker.askUntilLeased(port)
      let left = 1
      upstream.answer = (request, response) => {
        if (left > 0) void response.writeHead(status).end('x'.repeat(100_000))
        else novaLike('s3cr3t')(request, response)
        left -= 1
      }
      t.equal((await worker.ask(port)).status, 200)
      t.equal((await worker.ask(port)).status, 200)
      t.equal(await worker.direct(), 2)
    },
  )
}

t.test('an answer that breaks off reaches the guest broken off', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('a part', () => response.destroy())
  }
  const connection = await worker.connectAs(port)
  void connection.write(get('/latest'))
  t.equal(await connection.answer(), undefined)
  t.equal(await worker.direct(), 1)
})

t.test('an answer that never begins is requested again when its connection ends', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  upstream.answer = (request, response) => {
    if (upstream.requests.length === 2) response.destroy()
    else novaLike('s3cr3t')(request, response)
  }
  t.equal((await worker.ask(port)).body.toString(), instanceId(1))
  t.equal(await worker.direct(), 1)
  t.equal(upstream.requests.length, 3)
})

t.test(
  "compute has the time that the agent's configuration gives it, not the worker's",
  async (t) => {
    const { directory, upstream, worker } = await startLeasePair(t, { timeoutHeaders: 1_000 })
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    upstream.answer = (request, response) => {
      // Sockets are timed by the real clock: the worker's own limit has long passed then.
      setTimeout(() => novaLike('s3cr3t')(request, response), 1_500)
    }
    t.equal((await worker.ask(port)).body.toString(), instanceId(1))
    t.equal(await worker.direct(), 1)
  },
)

t.test('a request with a body, or of another method, always goes over the agent', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  const connection = await worker.connectAs(port)
  void connection.write(
    'POST /openstack/latest/password HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc',
  )
  t.equal((await connection.answer())?.status, 200)
  void connection.write('OPTIONS /latest HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer())?.status, 200)
  t.equal(await worker.direct(), 0)
  void connection.write('HEAD /latest HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n')
  t.equal((await connection.answer({ isHead: true }))?.status, 200)
  t.equal(await worker.direct(), 1)
  t.equal(upstream.requests.at(-1)?.method, 'HEAD')
  connection.close()
})

t.test('what compute sends under our names does not reach a guest', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  upstream.answer = (_request, response) => {
    response.writeHead(200, {
      'X-Overlapd-Reason': 'no_port',
      'X-Request-ID': 'of-compute',
      'Set-Cookie': 'a=b',
      'X-Instance-ID': 'secret',
      'Content-Encoding': 'gzip',
    })
    response.end('zipped')
  }
  const answer = await worker.ask(port)
  t.equal(await worker.direct(), 1)
  t.equal(answer.field('x-overlapd-reason'), undefined)
  t.not(answer.field('x-request-id'), 'of-compute')
  t.equal(answer.field('set-cookie'), undefined)
  t.equal(answer.field('x-instance-id'), undefined)
  t.equal(answer.field('content-encoding'), 'gzip')
})

t.test("a guest's identity headers have nowhere to go under a lease either", async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  const connection = await worker.connectAs(port)
  void connection.write(get('/latest?a=%2e%2e//b', 'X-Instance-ID: forged', 'Cookie: a'))
  t.equal((await connection.answer())?.body.toString(), instanceId(1))
  t.equal(await worker.direct(), 1)
  const seen = upstream.requests.at(-1)
  t.equal(seen?.target, '/latest?a=%2e%2e//b')
  const names = seen?.rawHeaders.filter((_, index) => index % 2 === 0) ?? []
  t.strictSame(names.map((name) => name.toLowerCase()).toSorted(), [
    'connection',
    'host',
    'x-forwarded-for',
    'x-instance-id',
    'x-instance-id-signature',
    'x-tenant-id',
  ])
  void connection.write(get('/latest', 'X-Forwarded-For: 10.9.9.9'))
  t.equal((await connection.answer())?.body.toString(), instanceId(1))
  t.equal(await worker.direct(), 1, 'whoever forwards is judged by the agent')
  connection.close()
})

t.test(
  'compute gets no more requests at a time than a worker may send; the rest takes the other way',
  async (t) => {
    const { clock, directory, upstream, worker } = await startLeasePair(t, { connections: 2 })
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    const held: (() => void)[] = []
    upstream.answer = (request, response) => {
      held.push(() => novaLike('s3cr3t')(request, response))
    }
    const asked = []
    for (let number = 0; number < 5; number += 1) {
      const connection = await worker.connectAs(port)
      void connection.write(get('/latest'))
      asked.push(connection.answer())
    }
    while (held.length < 5) {
      // Of one guest, they begin one after the other.
      await clock.advance(10)
      await ioTurns()
    }
    t.equal(await worker.direct(), 2)
    for (const release of held) release()
    for (const answer of await Promise.all(asked)) t.equal(answer?.body.toString(), instanceId(1))
  },
)

t.test('a guest that leaves ends its request at compute', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  const left = new Promise<void>((resolve) => {
    upstream.answer = (_request, response) => void response.on('close', resolve)
  })
  const connection = await worker.connectAs(port)
  void connection.write(get('/latest'))
  while ((await worker.direct()) === 0) await ioTurns()
  while (upstream.requests.length < 2) await ioTurns()
  // An end alone could be of a guest that still waits for its answer.
  connection.reset()
  await left
  t.equal(upstream.requests.length, 2, 'and nobody asks again for it')
})

t.test('leases end when a rate limit is set while the agent runs', async (t) => {
  const { agent, directory, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)

  agent.agent.reconfigure(withRateLimit())
  await worker.untilLeases(0)
  await worker.ask(port)
  await ioTurns()

  t.equal(await worker.direct(), 0, 'what the agent does not see, it cannot count')
  t.equal(await worker.leases(), 0)
})

function withRateLimit(): AgentConfig {
  const { config } = loadConfig(agentConfig.table, {
    environment: { OVERLAPD_AGENT_RATE_LIMIT_ENABLED: 'true' },
    environmentPrefix: agentConfig.environmentPrefix,
  })
  return config
}
