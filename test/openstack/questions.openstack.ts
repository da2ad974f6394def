import t from 'tap'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { runningCloud, type BareGuest } from './cloud.ts'
import type { Flavour } from './guest-networks.ts'
import { instanceIn, portsSections, startAgent, type OurAgent } from './overlapd.ts'
import { addResult } from './results.ts'
import { proxyHeaders } from './scope-headers.ts'
import { TappedRelay } from './tapped-relay.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, crowd } = runningCloud()
const compute = await startTellingCompute(t, place)
const requestsPerBoot = 28
const atOnce = 20

/** Every guest asks so often, several at a time. @returns how many answers were not the guest's own */
async function boot(
  agent: OurAgent,
  guests: readonly BareGuest[],
  flavour: Flavour,
  times: number,
): Promise<number> {
  let others = 0
  const waiting = [...guests]
  const serve = async (): Promise<void> => {
    for (let guest = waiting.pop(); guest !== undefined; guest = waiting.pop()) {
      for (let count = 0; count < times; count += 1) {
        const answer = await agent.ask('overlapd', proxyHeaders(guest, flavour))
        if (instanceIn(answer) !== guest.instanceId) others += 1
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, serve))
  return others
}

const kinds = [
  {
    directory: 'neutron-rest',
    flavour: 'ml2',
    tcpPort: place.tcpPorts.neutron,
    ports: (tcpPort: number) =>
      portsSections.neutronRest(place, { endpoint: `http://127.0.0.1:${tcpPort}` }),
    // Request lines of HTTP.
    question: / HTTP\/1\.1\r\n/g,
    // See below.
    most: { cold: Infinity, warm: Infinity },
  },
  {
    directory: 'neutron-rpc',
    flavour: 'ml2',
    tcpPort: place.tcpPorts.rabbitmq,
    ports: (tcpPort: number) => portsSections.neutronRpc(place, { tcpPort }),
    // AMQP's basic.publish to the exchange "neutron" with the routing key "q-plugin".
    question: '\0\x3c\0\x28\0\0\x07neutron\x08q-plugin',
    most: { cold: 15, warm: 0 },
  },
  {
    directory: 'ovn',
    flavour: 'ovn',
    tcpPort: place.tcpPorts.southbound,
    ports: (tcpPort: number) =>
      portsSections.ovn(place, {
        ovn_sb_connection: [`tcp:127.0.0.1:${tcpPort}`],
        report_agent: false,
      }),
    question: /"method" ?: ?"(?!echo")/g,
    // What the host serves is learned from these requests, and the conditions of its copy follow in some steps.
    most: { cold: 30, warm: 0 },
  },
] as const

/** How old an answer by REST may be, in seconds. */
const maxAge = 2

/** What the README of neutron-rest promises, however many ask and however long it takes. */
function mostByRest(seconds: number): number {
  return 5 + 4 * Math.floor(seconds / maxAge)
}

/** How long guests go on asking by REST, to see that the rate of questions does not depend on theirs. */
const longStorm: Milliseconds = 25_000

for (const { directory, flavour, tcpPort, ports, question, most } of kinds) {
  t.test(`${directory}: a boot of 100 guests on 5 networks costs few questions`, async (t) => {
    const relay = await TappedRelay.open(t, tcpPort)
    const began = Date.now()
    const seconds = (): number => (Date.now() - began) / 1_000
    const agent = startAgent(t, place, { ports: ports(relay.tcpPort), upstreams: [compute] })
    await agent.untilReady()
    t.ok(relay.count(/[^]/g) > 0, 'the relay sees what the server is sent')
    const guests = crowd[flavour]
    t.equal(guests.length, 100)
    const isByRest = directory === 'neutron-rest'
    const check = (what: string, asked: number, atMost: number): void => {
      t.ok(asked <= atMost, `${asked} questions ${what}, at most ${atMost}`)
    }
    const atStart = relay.count(question)
    t.equal(await boot(agent, guests, flavour, 1), 0, 'each first answer is the guest’s own')
    const cold = relay.count(question) - atStart
    if (!isByRest) check('for the first request of each', cold, most.cold)
    t.equal(await boot(agent, guests, flavour, requestsPerBoot - 1), 0, 'and each later one')
    const warm = relay.count(question) - atStart - cold
    const booted = seconds()
    if (isByRest) check(`in ${booted} s`, atStart + cold + warm, mostByRest(booted))
    else check('afterwards', warm, most.warm)
    let requests = guests.length * requestsPerBoot
    const row = (): void =>
      addResult(place, 'Questions to the control plane: 100 guests on 5 networks', {
        directory,
        requests,
        seconds: seconds().toFixed(1),
        'when it starts': atStart,
        'first request of each': cold,
        afterwards: relay.count(question) - atStart - cold,
        ...(isByRest && { 'promised at most': mostByRest(seconds()) }),
      })
    row()
    if (!isByRest) return
    let others = 0
    while (Date.now() - began < longStorm) {
      others += await boot(agent, guests, flavour, 1)
      requests += guests.length
    }
    t.equal(others, 0, 'and all after them')
    check(`for ${requests} requests`, relay.count(question), mostByRest(seconds()))
    row()
  })
}
