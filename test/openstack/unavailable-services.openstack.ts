import { randomUUID } from 'node:crypto'
import t from 'tap'
import { instancePort, runningCloud } from './cloud.ts'
import { startDaemon, stopDaemon } from './daemon.ts'
import { NeutronApi } from './neutron-api.ts'
import { instanceIn, portsSections, startAgent } from './overlapd.ts'
import { addResult } from './results.ts'
import { haproxyHeaders } from './scope-headers.ts'
import { ovnReady } from './services/ovn.ts'
import { rabbitMqReady } from './services/rabbitmq.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, crowd, guests } = runningCloud()
const compute = await startTellingCompute(t, place)

const kinds = [
  {
    directory: 'neutron-rpc',
    flavour: 'ml2',
    daemon: 'rabbitmq',
    ports: portsSections.neutronRpc(place),
    back: () => rabbitMqReady(place),
  },
  {
    directory: 'ovn',
    flavour: 'ovn',
    daemon: 'ovn-sb',
    ports: portsSections.ovn(place, { ovsdb_retry_max_interval: '2s' }),
    back: () => ovnReady(place, 'sb'),
  },
] as const

for (const { directory, flavour, daemon, ports, back } of kinds) {
  t.test(`${directory}: while ${daemon} is away, who is known is served`, async (t) => {
    const agent = startAgent(t, place, { ports, upstreams: [compute] })
    await agent.untilReady()
    const [first] = crowd[flavour]
    const api = new NeutronApi(place, flavour === 'ovn' ? 'neutronOvn' : 'neutron')
    const known = { ...first!, ip: '10.0.0.20' }
    const instance = crowd[flavour].find(
      ({ networkId, ip }) => networkId === known.networkId && ip === known.ip,
    )?.instanceId
    const ask = async (ip = known.ip) =>
      await agent.ask(flavour, haproxyHeaders({ ...known, ip }, flavour))
    t.equal(instanceIn(await ask()), instance, 'before')
    await stopDaemon(place, daemon)
    let detail = ''
    try {
      await agent.until('not ready', async () => {
        const { ready, parts } = await agent.readiness()
        detail = parts
          .filter((part) => !part.ready)
          .map((part) => `${part.name}: ${part.detail}`)
          .join('; ')
        return !ready
      })
      t.match(detail, /^(?:ports|directory)[^;]*$/, 'readiness names the missing part alone')
      for (let count = 0; count < 20; count += 1) {
        t.equal(instanceIn(await ask()), instance, 'who is known is served')
      }
      const unknown = await ask('10.0.0.199')
      t.ok(
        unknown.status === 404 || (unknown.status === 503 && unknown.retryAfter !== undefined),
        `who is not is refused: ${unknown.status} ${unknown.reason}`,
      )
    } finally {
      startDaemon(place, daemon)
      await back()
    }
    await agent.untilReady()
    t.equal(instanceIn(await ask()), instance, 'afterwards')
    const newcomer = { instanceId: randomUUID(), ip: '10.0.0.150' }
    const [guest] = guests
    const network = flavour === 'ovn' ? guest!.ovn.network : guest!.network
    // Neutron itself may need a while to come back.
    await agent.until('Neutron makes ports', async () => {
      await api.ports([instancePort(network, 150, newcomer.instanceId)])
      return true
    })
    const scope = {
      ...known,
      ip: newcomer.ip,
      networkId: network.id,
      routerId: network.routerId ?? '',
    }
    await agent.until('the newcomer is found', async () => {
      return (
        instanceIn(await agent.ask(flavour, haproxyHeaders(scope, flavour))) === newcomer.instanceId
      )
    })
    t.pass('what changed since then is known')
    addResult(place, 'A service is away', { directory, away: daemon, 'readiness says': detail })
  })
}
