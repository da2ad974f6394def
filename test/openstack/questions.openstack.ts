import t from 'tap'
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
    most: { cold: 5, warm: 5 },
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
    most: { cold: 0, warm: 0 },
  },
] as const

for (const { directory, flavour, tcpPort, ports, question, most } of kinds) {
  t.test(`${directory}: a boot of 100 guests on 5 networks costs few questions`, async (t) => {
    const relay = await TappedRelay.open(t, tcpPort)
    const agent = startAgent(t, place, { ports: ports(relay.tcpPort), upstreams: [compute] })
    await agent.untilReady()
    t.ok(relay.count(/[^]/g) > 0, 'the relay sees what the server is sent')
    const atStart = relay.count(question)
    relay.forget()
    const guests = crowd[flavour]
    t.equal(guests.length, 100)
    const began = Date.now()
    t.equal(await boot(agent, guests, flavour, 1), 0, 'each first answer is the guest’s own')
    const cold = relay.count(question)
    t.ok(cold <= most.cold, `${cold} questions for the first request of each`)
    relay.forget()
    t.equal(await boot(agent, guests, flavour, requestsPerBoot - 1), 0, 'and each later one')
    const warm = relay.count(question)
    const seconds = (Date.now() - began) / 1_000
    // An answer of the REST API counts for ten seconds.
    const periods = directory === 'neutron-rest' ? Math.ceil(seconds / 10) : 1
    t.ok(warm <= most.warm * periods, `${warm} questions afterwards`)
    t.ok(
      directory !== 'neutron-rest' || atStart + cold + warm <= 5 * periods,
      'by REST at most 5 in all',
    )
    addResult(place, 'Questions to the control plane: 100 guests x 28 requests, 5 networks', {
      directory,
      'when it starts': atStart,
      'for the first request of each': cold,
      afterwards: warm,
      'seconds in all': seconds.toFixed(1),
    })
  })
}
