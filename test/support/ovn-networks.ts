/** How do tests get OVN networks as Neutron's driver makes them? */
import { randomUUID } from 'node:crypto'
import type { OvnCentral } from './ovn-central.ts'

/** A network with a metadata port. */
export interface OvnNetwork {
  readonly id: string
  readonly metadataPort: string
  readonly metadataMac: string
}

/** A port that an instance is behind. */
export interface OvnPort {
  readonly id: string
  readonly mac: string
}

/** What Neutron and Nova would say. */
export interface OvnNetworkPlan {
  readonly id?: string
  readonly mac?: string
  /** Of the metadata port: `10.0.0.2/24`. */
  readonly cidrs: readonly string[]
  readonly mtu?: number
}

/** Words of one transaction. */
function joined(words: readonly string[], index: number): readonly string[] {
  return index === 0 ? words : ['--', ...words]
}

function settings(ids: Readonly<Record<string, string>>): string[] {
  return Object.entries(ids).map(([key, value]) => `external_ids:"${key}"="${value}"`)
}

/** Writes the northbound database, and waits until northd has written the southbound one. */
async function write(central: OvnCentral, commands: readonly (readonly string[])[]): Promise<void> {
  if (commands.length > 0) await central.nbctl(['--wait=sb', ...commands.flatMap(joined)])
}

function networkCommands(
  network: OvnNetwork,
  plan: OvnNetworkPlan,
): readonly (readonly string[])[] {
  const { id, metadataPort, metadataMac } = network
  const addresses = plan.cidrs.map((cidr) => cidr.split('/')[0])
  const ids = {
    'neutron:cidrs': plan.cidrs.join(' '),
    'neutron:device_id': `ovnmeta-${id}`,
    'neutron:device_owner': 'network:distributed',
    ...(plan.mtu !== undefined && { 'neutron:mtu': String(plan.mtu) }),
  }
  return [
    ['ls-add', `neutron-${id}`],
    ['lsp-add', `neutron-${id}`, metadataPort],
    ['lsp-set-type', metadataPort, 'localport'],
    ['lsp-set-addresses', metadataPort, [metadataMac, ...addresses].join(' ')],
    ['set', 'Logical_Switch_Port', metadataPort, ...settings(ids)],
  ]
}

function networkOf({ id = randomUUID(), mac = 'fa:16:3e:00:00:02' }: OvnNetworkPlan): OvnNetwork {
  return { id, metadataPort: randomUUID(), metadataMac: mac }
}

/** Makes a network. */
export async function addOvnNetwork(
  central: OvnCentral,
  plan: OvnNetworkPlan,
): Promise<OvnNetwork> {
  const network = networkOf(plan)
  await write(central, networkCommands(network, plan))
  return network
}

/** Makes many networks with a guest each, in few transactions. */
export async function addManyOvnNetworks(
  central: OvnCentral,
  plans: readonly OvnNetworkPlan[],
  addressOf: (index: number) => string,
): Promise<readonly { readonly network: OvnNetwork; readonly port: OvnPort }[]> {
  const made = plans.map((plan) => ({
    network: networkOf(plan),
    port: { id: randomUUID(), mac: 'fa:16:3e:00:00:10' },
  }))
  const commands = made.map(({ network, port }, index) => [
    ...networkCommands(network, plans[index] ?? { cidrs: [] }),
    ...portCommands(network, port, [addressOf(index)]),
  ])
  for (let at = 0; at < commands.length; at += 50) {
    await write(central, commands.slice(at, at + 50).flat())
  }
  return made
}

function portCommands(
  network: OvnNetwork,
  { id, mac }: OvnPort,
  addresses: readonly string[],
): readonly (readonly string[])[] {
  const ids = {
    'neutron:cidrs': addresses.map((one) => `${one}/24`).join(' '),
    'neutron:device_id': randomUUID(),
    'neutron:device_owner': 'compute:nova',
    'neutron:project_id': randomUUID(),
  }
  return [
    ['lsp-add', `neutron-${network.id}`, id],
    ['lsp-set-addresses', id, [mac, ...addresses].join(' ')],
    ['set', 'Logical_Switch_Port', id, ...settings(ids)],
  ]
}

/** Makes a port of an instance; without addresses it says `unknown`. */
export async function addOvnPort(
  central: OvnCentral,
  network: OvnNetwork,
  addresses: readonly string[],
  mac = 'fa:16:3e:00:00:10',
): Promise<OvnPort> {
  const port = { id: randomUUID(), mac }
  await write(central, portCommands(network, port, addresses))
  return port
}

/** Changes the metadata port's addresses, as Neutron does when a subnet comes or goes. */
export async function setMetadataCidrs(
  central: OvnCentral,
  { metadataPort, metadataMac }: OvnNetwork,
  cidrs: readonly string[],
): Promise<void> {
  const addresses = cidrs.map((cidr) => cidr.split('/')[0])
  await write(central, [
    ['lsp-set-addresses', metadataPort, [metadataMac, ...addresses].join(' ')],
    ['set', 'Logical_Switch_Port', metadataPort, ...settings({ 'neutron:cidrs': cidrs.join(' ') })],
  ])
}

/** Takes ports or networks away. */
export async function removeOvn(
  central: OvnCentral,
  what: { readonly ports?: readonly OvnPort[]; readonly networks?: readonly OvnNetwork[] },
): Promise<void> {
  await write(central, [
    ...(what.ports ?? []).map(({ id }) => ['lsp-del', id]),
    ...(what.networks ?? []).map(({ id }) => ['ls-del', `neutron-${id}`]),
  ])
}
