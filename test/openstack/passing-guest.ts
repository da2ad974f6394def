import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { BareGuest } from './cloud.ts'
import type { NeutronApi } from './neutron-api.ts'

/** The body of a port of an instance, at any address. */
export function portOf(owner: {
  readonly networkId: string
  readonly projectId: string
  readonly instanceId: string
}): Readonly<Record<string, unknown>> {
  return {
    network_id: owner.networkId,
    project_id: owner.projectId,
    device_owner: 'compute:nova',
    device_id: owner.instanceId,
  }
}

/** A guest of this test's own on the network of another; the port that has its address in the end goes with the test. */
export async function makePassingGuest(
  t: Test,
  api: NeutronApi,
  neighbour: BareGuest,
): Promise<BareGuest> {
  const instanceId = randomUUID()
  const [port] = await api.ports([portOf({ ...neighbour, instanceId })])
  if (port === undefined) throw new Error('Neutron shows no port')
  const ip = port.fixed_ips.find(({ ip_address: text }) => text.includes('.'))?.ip_address ?? ''
  t.teardown(async () => {
    const query = `network_id=${neighbour.networkId}&fixed_ips=ip_address%3D${ip}`
    for (const { id } of await api.findPorts(query)) await api.deletePort(id)
  })
  return { ...neighbour, instanceId, portId: port.id, mac: port.mac_address, ip }
}
