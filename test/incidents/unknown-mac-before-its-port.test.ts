/**
 * An unknown MAC asked for an address before the address's port had been heard with its own MAC, and went on being answered from the
 * cache afterwards. Right: it is refused from then on, as if it had come second.
 */
import t from 'tap'
import { startAgentWithFile } from '../support/agent-with-file.ts'
import { joiningRouter, sharedNetworkTopology, victim } from '../support/shared-network-topology.ts'

for (const ingress of [undefined, '22222222-7c']) {
  t.test(`an unknown MAC is refused once the port was received (ingress ${ingress})`, async (t) => {
    const ask = await startAgentWithFile(t, sharedNetworkTopology, { source_mac: 'prefer' })
    const [address = ''] = victim.fixedIps
    const from = (mac: string): Promise<string> =>
      ask([
        ['X-Neutron-Router-ID', joiningRouter],
        ['X-Forwarded-For', address],
        ['X-Overlapd-Source-MAC', mac],
        ...(ingress === undefined ? [] : ([['X-Overlapd-Ingress-Port', ingress]] as const)),
      ])
    const unknown = 'fa:16:3e:ee:ee:ee'
    t.equal(await from(unknown), victim.instanceId, 'a routed guest, for all that is known')
    t.equal(await from(victim.macAddress), victim.instanceId)
    t.equal(await from(unknown), 'source_mac_conflict')
    t.equal(await from(victim.macAddress), victim.instanceId)
  })
}
