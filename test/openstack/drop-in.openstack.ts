/** Can overlapd-agent take the place of Neutron's own agents with their own configuration files, and give it back? */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uniqueName } from '../support/netns.ts'
import { runningCloud } from './cloud.ts'
import { run, startDaemon, stopDaemon } from './daemon.ts'
import { genuineDocuments } from './genuine-documents.ts'
import { compareDocuments, type Genuine } from './guest-documents.ts'
import { GuestNetworks, untilServed, type IpFamily } from './guest-networks.ts'
import { NeutronApi } from './neutron-api.ts'
import { agentEntry, startAgentProgram, type OurAgent } from './overlapd.ts'
import { urlOf, writeIni } from './place.ts'
import { addResult } from './results.ts'
import { hostName } from './services/host-name.ts'
import {
  neutronAgentFiles,
  neutronAgentName,
  neutronAgentReady,
  neutronAgentSocket,
} from './services/neutron.ts'
import { startLocalSwitch } from './services/local-switch.ts'
import { acknowledge } from './services/ovn.ts'
import { transportUrl } from './services/rabbitmq.ts'

const { place, guests } = runningCloud()
const genuine: Genuine = new Map(
  await Promise.all(
    guests.map(
      async (guest) => [guest.name, await genuineDocuments(place, guest.instance)] as const,
    ),
  ),
)
const socket = neutronAgentSocket(place)
const options = (files: readonly string[]): string[] =>
  files.flatMap((file) => ['--config-file', file])

/** @returns a word for the table */
async function everybody(
  t: Test,
  networks: GuestNetworks,
  families: readonly IpFamily[],
): Promise<string> {
  let own = 0
  for (const placed of networks.guests) {
    for (const family of families) {
      if ((await compareDocuments(t, networks, placed, family, genuine)) === true) own += 1
    }
  }
  return `${own} of ${networks.guests.length * families.length}`
}

async function behindHaproxies(
  t: Test,
  flavour: 'ml2' | 'ovn',
  agentSocket: string,
): Promise<GuestNetworks> {
  const networks = await GuestNetworks.make(t, place, guests, flavour)
  networks.setRules(true)
  t.teardown(await networks.startHaproxies(agentSocket))
  return networks
}

async function served(networks: GuestNetworks): Promise<void> {
  for (const { served: name } of networks.guests) {
    await untilServed(networks, place, `haproxy-${name}`)
  }
}

/** Waits until Neutron shows the agent of this machine alive by a report that came after `since`. */
async function untilListed(
  agent: OurAgent,
  server: 'neutron' | 'neutronOvn',
  type: string,
  since: number,
): Promise<void> {
  await agent.until(`${type} in the list`, async () => {
    if (server === 'neutronOvn') await acknowledge(place)
    const shown = (await new NeutronApi(place, server).agents()).find(
      (one) => one.agent_type === type && one.host === hostName,
    )
    // Neutron shows UTC without saying so, in whole seconds.
    const reported = Date.parse(`${shown?.heartbeat_timestamp.slice(0, 19).replace(' ', 'T')}Z`)
    return shown?.alive === true && reported >= Math.floor(since / 1_000) * 1_000
  })
}

t.test('between neutron-metadata-agent and ours, with its files, and back', async (t) => {
  const networks = await behindHaproxies(t, 'ml2', socket)
  await served(networks)
  const families = [4, 6] as const
  const row = (agent: string, own: string): void =>
    addResult(place, "In the place of Neutron's agents, haproxies untouched", {
      agent,
      'own documents': own,
    })
  row('neutron-metadata-agent', await everybody(t, networks, families))
  await stopDaemon(place, neutronAgentName)
  const back = async (): Promise<void> => {
    startDaemon(place, neutronAgentName)
    await neutronAgentReady(place)
  }
  try {
    const files = options(neutronAgentFiles(place))
    const since = Date.now()
    const agent = startAgentProgram(t, place, files)
    await agent.untilReady()
    row("overlapd-agent with Neutron's files", await everybody(t, networks, families))
    await untilListed(agent, 'neutron', 'Metadata agent', since)
    await agent.stop()

    const printed = await run(process.execPath, [agentEntry(), 'check', ...files])
    t.notMatch(printed, place.sharedSecret, 'no secret is printed')
    t.notMatch(printed, place.password)
    const [, yaml = ''] = /# The same in the form [^\n]*\n([^]*?)\n\n/.exec(printed) ?? []
    const native = startAgentProgram(t, place, [], (folder) => {
      writeFileSync(join(folder, 'compute-shared_secret'), place.sharedSecret, { mode: 0o600 })
      const url = transportUrl(place, 'ml2')
      writeFileSync(join(folder, 'ports-neutron_rpc-transport_url'), url, { mode: 0o600 })
      return yaml.replaceAll('/etc/overlapd/secrets', folder)
    })
    await native.untilReady()
    row('overlapd-agent with what "check" printed', await everybody(t, networks, families))
    await native.stop()

    const rest = startAgentProgram(t, place, [
      ...options(neutronAgentFiles(place, 'neutronKeystone')),
      '--neutron-directory',
      'neutron-rest',
    ])
    await rest.untilReady()
    row(
      'overlapd-agent, logging in as [keystone_authtoken]',
      await everybody(t, networks, families),
    )
    await rest.stop()
  } finally {
    await back()
  }
  row('neutron-metadata-agent again', await everybody(t, networks, families))
})

t.test('with the files of the OVN metadata agent', async (t) => {
  const file = writeIni(place, 'neutron/neutron_ovn_metadata_agent.ini', {
    DEFAULT: {
      nova_metadata_host: '127.0.0.1',
      nova_metadata_port: place.tcpPorts.novaUwsgi,
      metadata_proxy_shared_secret: place.sharedSecret,
      metadata_workers: 2,
      metadata_proxy_socket: join(place.folder, `${uniqueName('ovn-')}.sock`),
      metadata_proxy_socket_mode: 'all',
      agent_down_time: 3,
    },
    ovs: { ovsdb_connection: await startLocalSwitch(t, place) },
    ovn: { ovn_sb_connection: `tcp:127.0.0.1:${place.tcpPorts.southbound}` },
  })
  const ovnSocket = /metadata_proxy_socket = (.*)/.exec(readFileSync(file, 'utf8'))?.[1] ?? ''
  const since = Date.now()
  const agent = startAgentProgram(t, place, options([file]))
  await agent.untilReady()
  const networks = await behindHaproxies(t, 'ovn', ovnSocket)
  await served(networks)
  // The configuration that Neutron writes for OVN has no IPv6 address.
  const own = await everybody(t, networks, [4])
  await untilListed(agent, 'neutronOvn', 'OVN Metadata agent', since)
  addResult(place, "In the place of Neutron's agents, haproxies untouched", {
    agent: 'overlapd-agent with neutron_ovn_metadata_agent.ini',
    'own documents': own,
  })
})

t.test("Debian's own files are understood", async (t) => {
  const packaged = ['/etc/neutron/neutron.conf', '/etc/neutron/metadata_agent.ini']
  // What every operator adds to them.
  const own = writeIni(place, 'neutron/own.conf', {
    DEFAULT: {
      transport_url: transportUrl(place, 'ml2'),
      metadata_proxy_shared_secret: place.sharedSecret,
      nova_metadata_host: new URL(urlOf(place, 'novaUwsgi')).hostname,
    },
  })
  const words = ['check', ...options([...packaged, own])]
  const printed = await run(process.execPath, [agentEntry(), ...words])
  t.match(printed, 'kind: "neutron-rpc"')
  t.match(printed, /Not read, because no metadata agent does: .*\[DEFAULT\] core_plugin/)
  t.notMatch(printed, place.sharedSecret)
})
