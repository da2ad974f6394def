/**
 * A tenant's router joined a shared network to one of theirs. From there, with the victim's MAC, or with no MAC at all while SYNs
 * flooded the namespace, they got the victim's metadata. Right: only ports of the network that a connection came in through count.
 */
import t from 'tap'
import { eui64LinkLocal } from '../../lib/identity/ip-address.ts'
import { startAgentWithFile } from '../support/agent-with-file.ts'
import {
  attacker,
  joiningRouter,
  sharedNetworkTopology,
  throughAttackers,
  throughShared,
  victim,
} from '../support/shared-network-topology.ts'
import type { Fields } from '../support/start-agent.ts'

const [address = ''] = victim.fixedIps
const tries = 16

function request(ip: string, ingress: string, mac?: string): Fields {
  return [
    ['X-Neutron-Router-ID', joiningRouter],
    ['X-Forwarded-For', ip],
    ['X-Overlapd-Ingress-Port', ingress],
    ...(mac === undefined ? [] : ([['X-Overlapd-Source-MAC', mac]] as const)),
  ]
}

for (const policy of ['prefer', 'verify', 'off']) {
  for (const routed of ['by_address', 'refuse']) {
    t.test(
      `source_mac ${policy}, routed ${routed}: no guest is answered for a guest of another network`,
      async (t) => {
        const ask = await startAgentWithFile(t, sharedNetworkTopology, {
          source_mac: policy,
          ...(routed === 'refuse' && { routed }),
        })
        const linkLocal = eui64LinkLocal(victim.macAddress)
        const attacks: readonly (readonly [string, Fields])[] = [
          ['link-local of the MAC', request(linkLocal, throughAttackers, victim.macAddress)],
          ['address and MAC', request(address, throughAttackers, victim.macAddress)],
          ['address and own MAC', request(address, throughAttackers, attacker.macAddress)],
          ['address and unknown MAC', request(address, throughAttackers, 'fa:16:3e:ee:ee:ee')],
          ['no MAC, as under a flood', request(address, throughAttackers)],
          ['link-local and no MAC', request(linkLocal, throughAttackers)],
          ['no interface of the router', request(address, 'other', victim.macAddress)],
          ['an interface nobody knows', request(address, '99999999-7c', victim.macAddress)],
        ]
        // All at once: refusals over link-local addresses are held back for a second.
        const asked = attacks.flatMap(([what, fields]) =>
          Array.from({ length: tries }, async () => ({ what, answer: await ask(fields) })),
        )
        for (const { what, answer } of await Promise.all(asked)) {
          t.match(
            answer,
            /^(?:no_port|ingress_mismatch|ingress_port_unknown|source_mac_\w+)$/,
            what,
          )
        }
      },
    )
  }
}

t.test('the victim itself, and the attacker as itself, are answered', async (t) => {
  const ask = await startAgentWithFile(t, sharedNetworkTopology, { source_mac: 'verify' })
  t.equal(await ask(request(address, throughShared, victim.macAddress)), victim.instanceId)
  const [own = ''] = attacker.fixedIps
  t.equal(await ask(request(own, throughAttackers, attacker.macAddress)), attacker.instanceId)
})

t.test(
  'verify takes no request of our own proxy without a MAC, and such of haproxy as ever',
  async (t) => {
    const ask = await startAgentWithFile(t, sharedNetworkTopology, { source_mac: 'verify' })
    t.equal(await ask(request(address, throughShared)), 'source_mac_missing')
    const [routerLine, addressLine] = request(address, throughShared)
    const asHaproxy = [routerLine, addressLine].filter((line) => line !== undefined)
    t.equal(await ask(asHaproxy), 'source_mac_missing', 'an older proxy of ours')
    t.equal(await ask(asHaproxy, 'ml2'), victim.instanceId)
  },
)

t.test('guests that are declared behind a network are found from there alone', async (t) => {
  const behind = sharedNetworkTopology.networks[1]?.networkId ?? ''
  const [toShared] = sharedNetworkTopology.routers
  const topology = {
    ...sharedNetworkTopology,
    routers: toShared === undefined ? [] : [{ ...toShared, ports: toShared.ports.slice(0, 1) }],
  }
  const networks = { [attacker.networkId]: { behind: [behind] } }
  const declared = await startAgentWithFile(t, topology, { networks })
  t.equal(
    await declared(request(address, throughAttackers, attacker.macAddress)),
    victim.instanceId,
  )
  // An interface of the router's own on the network goes before what was declared.
  const joined = await startAgentWithFile(t, sharedNetworkTopology, { networks })
  t.equal(await joined(request(address, throughAttackers, attacker.macAddress)), 'ingress_mismatch')
})

t.test(
  'with source_mac off a guest behind a network is answered whatever MAC routes it',
  async (t) => {
    const behind = sharedNetworkTopology.networks[1]?.networkId ?? ''
    const [toShared] = sharedNetworkTopology.routers
    const topology = {
      ...sharedNetworkTopology,
      routers: toShared === undefined ? [] : [{ ...toShared, ports: toShared.ports.slice(0, 1) }],
    }
    const networks = { [attacker.networkId]: { behind: [behind] } }
    const ask = await startAgentWithFile(t, topology, { networks, source_mac: 'off' })
    const [own = ''] = attacker.fixedIps
    t.equal(await ask(request(own, throughAttackers, attacker.macAddress)), attacker.instanceId)
    const routed = request(address, throughAttackers, attacker.macAddress)
    t.equal(await ask(routed), victim.instanceId, 'the one that routes has asked for itself before')
  },
)
