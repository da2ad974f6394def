import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { ip, networkId, projectId } from '../conformance/topology.ts'
import {
  askOn,
  guestPort,
  ioTurns,
  startLeasePair,
  type LeasePair,
  type LeaseWorker,
} from '../support/lease-pair.ts'
import { computeQueue } from '../support/many-guests.ts'
import { get, type RawAnswer, type RawConnection } from '../support/raw-http.ts'
import type { UpstreamRequest } from '../support/recording-upstream.ts'

const scopes = [1, 2].map((number) => ({ kind: 'network', networkId: networkId(number) }) as const)

/** Instance 1 belongs to project 1 and so on, unless told, and everybody is on one network. */
function portOf(number: number, given: Parameters<typeof guestPort>[1] = {}) {
  const address = ip(`127.0.1.${number}`)
  return guestPort(number, { fixedIps: [address], projectId: projectId(number), ...given })
}

function scopeOf(port: ReturnType<typeof portOf>): number {
  return scopes.findIndex(({ networkId }) => networkId === port.networkId)
}

interface Held {
  readonly instanceId: string
  readonly response: ServerResponse
}

/** Keeps requests until the test lets them go, each with its own instance's id for an answer. */
class Gate {
  readonly held: Held[] = []
  readonly served: string[] = []
  most = 0

  readonly hold = (request: UpstreamRequest, response: ServerResponse): void => {
    this.held.push({ instanceId: String(request.headers['x-instance-id']), response })
    this.most = Math.max(this.most, this.held.length)
  }

  release(): void {
    const next = this.held.shift()
    if (next === undefined) return
    this.served.push(next.instanceId)
    next.response.end(next.instanceId)
  }

  releaseAnyBut(instanceId: string): void {
    const place = this.held.findIndex((one) => one.instanceId !== instanceId)
    if (place > 0) this.held.unshift(...this.held.splice(place, 1))
    if (place >= 0) this.release()
  }
}

interface Subject extends LeasePair {
  readonly gate: Gate
  readonly ports: readonly ReturnType<typeof portOf>[]
  /** Lets I/O go on, and time: the requests of one guest begin one after the other. */
  readonly step: () => Promise<void>
  /** Resolves when compute has kept so many requests, and as many more wait for their turn as are wanted. */
  readonly untilHeld: (held: number, waiting?: number) => Promise<void>
}

/** Every guest has its lease, and compute keeps every request from here on. */
async function subject(
  t: Test,
  concurrency: number,
  ports: readonly ReturnType<typeof portOf>[],
  compute: object = {},
): Promise<Subject> {
  const pair = await startLeasePair(t, {
    connections: 64,
    scopes,
    config: {
      boot: { requests: 0 },
      limits: { timeout_drain: '100ms' },
      compute: {
        concurrency_min: 1,
        concurrency_start: concurrency,
        concurrency,
        ...compute,
      },
    },
  })
  pair.directory.setPorts(...ports)
  pair.directory.remember()
  for (const port of ports) await pair.worker.askUntilLeased(port, scopeOf(port))
  const gate = new Gate()
  pair.upstream.answer = gate.hold
  // Whatever a test leaves behind must not keep the upstream from closing.
  t.teardown(() => {
    while (gate.held.length > 0) gate.release()
  })
  const step = async (): Promise<void> => {
    await pair.clock.advance(10)
    await ioTurns()
  }
  const isHeld = async (held: number, waiting: number | undefined): Promise<boolean> =>
    gate.held.length >= held &&
    (waiting === undefined || (await computeQueue(pair.agent)).waiting === waiting)
  const untilHeld = async (held: number, waiting?: number): Promise<void> => {
    while (!(await isHeld(held, waiting))) await step()
  }
  return { ...pair, gate, ports, step, untilHeld }
}

async function connections(
  worker: LeaseWorker,
  port: ReturnType<typeof portOf>,
  count: number,
): Promise<readonly RawConnection[]> {
  const made: RawConnection[] = []
  for (let number = 0; number < count; number += 1)
    made.push(await worker.connectAs(port, scopeOf(port)))
  return made
}

async function allAnswered(
  t: Test,
  opened: readonly RawConnection[],
  asked: readonly Promise<RawAnswer>[],
  port: ReturnType<typeof portOf>,
): Promise<void> {
  for (const answer of await Promise.all(asked)) {
    t.equal(answer.body.toString(), port.instanceId)
  }
  for (const one of opened) one.close()
}

t.test('a project whose requests never end leaves direct slots to the others', async (t) => {
  const { worker, gate, ports, step, untilHeld } = await subject(t, 8, [portOf(1), portOf(2)])
  const [noisy, quiet] = ports

  const noisyConnections = await connections(worker, noisy!, 18)
  const hammering = noisyConnections.map((one) => askOn(one))
  // Six of eight by itself, six of eight over the agent; the others wait there.
  await untilHeld(12, 6)
  t.equal(await worker.metric('overlapd_proxy_direct_running'), 6)
  t.equal(await worker.metric('overlapd_proxy_direct_crowded_total'), 12)
  const asked = worker.ask(quiet!)
  await untilHeld(13)
  t.equal(await worker.metric('overlapd_proxy_direct_running'), 7, 'it went straight')

  while (gate.served.length < 19) {
    gate.release()
    await step()
  }
  t.equal((await asked).body.toString(), quiet!.instanceId)
  await allAnswered(t, noisyConnections, hammering, noisy!)
  t.ok(gate.most <= 16, `${gate.most} at a time`)
  t.equal(await worker.metric('overlapd_proxy_direct_running'), 0)
})

t.test('who finds the queue full gets Retry-After, as without leases', async (t) => {
  const { worker, agent, gate, ports, step, untilHeld } = await subject(t, 2, [portOf(1)], {
    queue: 2,
    queue_retry_after: '4s',
  })
  const [noisy] = ports

  const noisyConnections = await connections(worker, noisy!, 6)
  const hammering = noisyConnections.map((one) => askOn(one))
  await untilHeld(4, 2)
  let tooMany: RawAnswer | undefined
  const asked = worker.ask(noisy!).then((answer) => (tooMany = answer))
  while (tooMany === undefined) await step()
  await asked
  t.equal(tooMany.status, 503)
  t.equal(tooMany.field('x-overlapd-reason'), 'overloaded')
  t.ok([1, 2, 3, 4].includes(Number(tooMany.field('retry-after'))))
  t.match(await agent.text('/metrics'), /overlapd_agent_compute_shed_total\{why="queue_full"\} 1/)

  while (gate.served.length < 6) {
    gate.release()
    await step()
  }
  await allAnswered(t, noisyConnections, hammering, noisy!)
})

t.test('a guest that leaves gives its direct slot up, and its place in the queue', async (t) => {
  const { worker, agent, gate, ports, step, untilHeld } = await subject(t, 2, [portOf(1)])
  const [noisy] = ports

  const opened = await connections(worker, noisy!, 6)
  for (const one of opened) void one.write(get('/latest/meta-data'))
  await untilHeld(4, 2)
  for (const one of opened) one.reset()
  while ((await worker.metric('overlapd_proxy_direct_running')) > 0) await step()
  while ((await computeQueue(agent)).running > 0) await step()
  while ((await computeQueue(agent)).waiting > 0) await step()
  t.equal(gate.held.length, 4, 'compute never heard of those that waited')
})

t.test('workers share what the agent allows, and follow how compute fares', async (t) => {
  const { worker, another, pass, upstream, ports } = await subject(t, 8, [portOf(1)])
  t.equal(await worker.metric('overlapd_proxy_direct_limit'), 8)
  const second = await another()
  await pass(1_000)
  t.equal(await worker.metric('overlapd_proxy_direct_limit'), 4)
  t.equal(await second.metric('overlapd_proxy_direct_limit'), 4)

  let left = 1
  upstream.answer = (_request, response) => {
    response.statusCode = left > 0 ? 503 : 200
    left -= 1
    response.end()
  }
  t.equal((await worker.ask(ports[0]!)).status, 200, 'asked again over the agent')
  t.equal(await worker.metric('overlapd_proxy_direct_limit'), 2, 'cut by what compute said')
  t.equal(await second.metric('overlapd_proxy_direct_limit'), 4)
})

t.test('guests boot beside a project that hammers, all of them under leases', async (t) => {
  const booting = Array.from({ length: 20 }, (_, place) =>
    portOf(10 + place, { projectId: projectId(2 + (place % 5)) }),
  )
  const hammer = portOf(1, { networkId: networkId(2) })
  const { worker, gate, ports, step, untilHeld } = await subject(t, 8, [hammer, ...booting])
  const [noisy, ...others] = ports
  const perBoot = 6

  const noisyConnections = await connections(worker, noisy!, 24)
  const hammering = noisyConnections.map((one) => askOn(one))
  await untilHeld(12, 6)
  // One connection each, opened one after the other; what they ask is asked at the same time.
  const opened: RawConnection[] = []
  for (const port of others) opened.push(await worker.connectAs(port))
  let booted = 0
  const boots = others.map(async (port, place) => {
    for (let request = 0; request < perBoot; request += 1) {
      const answer = await askOn(opened[place]!)
      if (answer.body.toString() !== port.instanceId) t.fail('an answer for somebody else')
    }
    booted += 1
  })
  // Compute never comes to an end with what the noisy one asks.
  while (booted < others.length) {
    gate.releaseAnyBut(noisy!.instanceId!)
    await step()
  }
  await Promise.all(boots)
  for (const one of opened) one.close()
  t.equal(gate.served.length, others.length * perBoot)
  t.notOk(gate.served.includes(noisy!.instanceId!))

  while (gate.served.length < others.length * perBoot + hammering.length) {
    gate.release()
    await step()
  }
  await allAnswered(t, noisyConnections, hammering, noisy!)
  t.ok(gate.most <= 16, `${gate.most} at a time`)
})
