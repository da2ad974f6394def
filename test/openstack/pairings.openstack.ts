import t, { type Test } from 'tap'
import { runningCloud } from './cloud.ts'
import { genuineDocuments } from './genuine-documents.ts'
import { compareDocuments } from './guest-documents.ts'
import {
  GuestNetworks,
  untilServed,
  type Flavour,
  type IpFamily,
  type PlacedGuest,
} from './guest-networks.ts'
import { NeutronApi } from './neutron-api.ts'
import { portsSections, reportedHost, startAgent, startProxy } from './overlapd.ts'
import { addResult } from './results.ts'
import { hostName } from './services/host-name.ts'
import { neutronAgentSocket } from './services/neutron.ts'
import { acknowledge } from './services/ovn.ts'

const cloud = runningCloud()
const { place, guests } = cloud

const agents = {
  'neutron-rest, noauth': startAgent(t, place, { ports: portsSections.neutronRest(place) }),
  'neutron-rest, Keystone': startAgent(t, place, {
    ports: portsSections.neutronRestWithKeystone(place),
  }),
  'neutron-rest, credential': startAgent(t, place, {
    ports: portsSections.neutronRestWithCredential(cloud),
  }),
  'neutron-rpc': startAgent(t, place, { ports: portsSections.neutronRpc(place) }),
  ovn: startAgent(t, place, { ports: portsSections.ovn(place) }),
}
const networks = {
  ml2: await GuestNetworks.make(t, place, guests, 'ml2'),
  ovn: await GuestNetworks.make(t, place, guests, 'ovn'),
}
for (const agent of Object.values(agents)) await agent.untilReady()
const genuine = new Map(
  await Promise.all(
    guests.map(
      async (guest) => [guest.name, await genuineDocuments(place, guest.instance)] as const,
    ),
  ),
)

/** Asks and boots as a guest would. @returns a word for the table */
async function visit(
  t: Test,
  served: GuestNetworks,
  placed: PlacedGuest,
  family: IpFamily,
): Promise<string> {
  const { name, instance } = placed.guest
  const isOwn = await compareDocuments(t, served, placed, family, genuine)
  if (isOwn !== true) return isOwn === false ? 'WRONG' : `${isOwn}`
  const report = await served.cloudInit(placed, family)
  t.match(
    report,
    { accepted: true, instanceId: instance.id, userData: instance.userData },
    `cloud-init in ${name} over IPv${family}`,
  )
  return report.accepted && report.instanceId === instance.id
    ? `own, ${report.requests.length} requests`
    : 'WRONG'
}

async function visitAll(
  t: Test,
  served: GuestNetworks,
  families: readonly IpFamily[],
  row: { readonly proxy: string; readonly agent: string; readonly directory: string },
): Promise<void> {
  const cells = await Promise.all(
    served.guests.map(async (placed) => {
      const words: (readonly [string, string])[] = []
      for (const family of families) {
        words.push([`${placed.guest.name} IPv${family}`, await visit(t, served, placed, family)])
      }
      return words
    }),
  )
  addResult(place, 'Pairings: documents and cloud-init', {
    ...row,
    ...Object.fromEntries(cells.flat()),
  })
}

const bothFamilies: readonly IpFamily[] = [4, 6]
const directories: readonly (readonly [keyof typeof agents, Flavour])[] = [
  ['neutron-rest, noauth', 'ml2'],
  ['neutron-rest, Keystone', 'ml2'],
  ['neutron-rest, credential', 'ml2'],
  ['neutron-rpc', 'ml2'],
  ['ovn', 'ovn'],
]

t.test('haproxy serves each guest its own documents', async (t) => {
  networks.ml2.setRules(true)
  t.teardown(() => networks.ml2.setRules(false))
  const behindHaproxy = async (
    t: Test,
    flavour: Flavour,
    socket: string,
    row: { readonly agent: string; readonly directory: string },
  ): Promise<void> => {
    const served = networks[flavour]
    const stop = await served.startHaproxies(socket)
    // The configuration that Neutron writes for OVN has no IPv6 address.
    const families = flavour === 'ovn' ? [4 as const] : bothFamilies
    try {
      for (const { served: name } of served.guests) {
        await untilServed(served, place, `haproxy-${name}`)
      }
      await visitAll(t, served, families, { proxy: 'haproxy', ...row })
    } finally {
      await stop()
    }
  }
  await t.test('with neutron-metadata-agent', (t) =>
    behindHaproxy(t, 'ml2', neutronAgentSocket(place), {
      agent: 'neutron-metadata-agent',
      directory: '',
    }),
  )
  for (const [directory, flavour] of directories) {
    await t.test(`with overlapd-agent and ${directory}`, (t) =>
      behindHaproxy(t, flavour, agents[directory].socketOf(flavour), {
        agent: 'overlapd-agent',
        directory,
      }),
    )
  }
})

t.test('overlapd-proxy serves each guest its own documents', async (t) => {
  await t.test('with neutron-metadata-agent, between the rules of the L3 agent', async (t) => {
    networks.ml2.setRules(true)
    const proxy = await startProxy(t, place, networks.ml2, neutronAgentSocket(place))
    const row = { proxy: 'overlapd-proxy', agent: 'neutron-metadata-agent', directory: '' }
    await visitAll(t, networks.ml2, bothFamilies, row)
    await proxy.stop()
    networks.ml2.setRules(false)
  })
  for (const [directory, flavour] of directories) {
    await t.test(`with overlapd-agent and ${directory}, with its own rules`, async (t) => {
      const socket = agents[directory].socketOf('overlapd')
      const proxy = await startProxy(t, place, networks[flavour], socket)
      const row = { proxy: 'overlapd-proxy', agent: 'overlapd-agent', directory }
      await visitAll(t, networks[flavour], bothFamilies, row)
      await proxy.stop()
    })
  }
})

t.test('Neutron lists our agents alive', async (t) => {
  const listed = async (name: 'neutron' | 'neutronOvn', type: string, host: string) =>
    (await new NeutronApi(place, name).agents()).find(
      (one) => one.agent_type === type && one.host === host,
    )
  for (const [directory, server, type, host] of [
    ['neutron-rpc', 'neutron', 'Metadata agent', reportedHost],
    ['ovn', 'neutronOvn', 'OVN Metadata agent', hostName],
  ] as const) {
    await agents[directory].until(`${type} in the list`, async () => {
      // Neutron takes the agent of a dead ovn-controller for dead, and there is none here.
      await acknowledge(place)
      return (await listed(server, type, host))?.alive === true
    })
    const shown = await listed(server, type, host)
    t.match(shown, { alive: true, host }, type)
    addResult(place, 'Agents in GET /v2.0/agents', {
      directory,
      type,
      host,
      binary: shown?.binary ?? '',
      alive: String(shown?.alive),
    })
  }
})
