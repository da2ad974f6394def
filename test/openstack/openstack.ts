/** How does a whole OpenStack come up and go? */
import { existsSync, rmSync } from 'node:fs'
import { cloudIn, seedCloud } from './cloud.ts'
import { run, stopAll } from './daemon.ts'
import { namespacesOf, type ScopeKind } from './namespace-names.ts'
import { makePlace, type Place } from './place.ts'
import { installPackages } from './packages.ts'
import { prepareKeystone, seedKeystone, startKeystone } from './services/keystone.ts'
import { startMariaDb } from './services/mariadb.ts'
import {
  neutronReady,
  neutronServers,
  prepareNeutron,
  startNeutron,
  startNeutronAgent,
  type NeutronServer,
} from './services/neutron.ts'
import { prepareNova, startNova } from './services/nova.ts'
import { startOvn } from './services/ovn.ts'
import { rabbitMqReady, startRabbitMq } from './services/rabbitmq.ts'

type Progress = (text: string) => void

/** Installs, starts and fills everything. What was started is stopped again when something fails. */
export async function bringUp(progress: Progress): Promise<Place> {
  installPackages(progress)
  const place = await makePlace()
  try {
    await startServices(place, progress)
  } catch (cause) {
    await tearDown(place, { keepFolder: true })
    throw new Error(`OpenStack did not come up; logs are in ${place.folder}/log`, { cause })
  }
  return place
}

async function startServices(place: Place, progress: Progress): Promise<void> {
  progress(`starting MariaDB, RabbitMQ and OVN in ${place.folder}`)
  startRabbitMq(place)
  await Promise.all([startMariaDb(place), startOvn(place)])
  progress('making the tables of Keystone, Neutron and Nova')
  await Promise.all([
    prepareKeystone(place),
    prepareNeutron(place, 'neutron'),
    prepareNeutron(place, 'neutronOvn'),
    prepareNova(place),
  ])
  progress('starting Keystone, Neutron and Nova')
  await rabbitMqReady(place)
  const servers = Object.keys(neutronServers) as NeutronServer[]
  await startKeystone(place)
  for (const name of servers) startNeutron(place, name)
  const [keystone] = await Promise.all([
    seedKeystone(place),
    startNova(place),
    ...servers.map((name) => neutronReady(place, name)),
  ])
  progress("making networks, ports and instances, and starting Neutron's metadata agent")
  await Promise.all([seedCloud(place, keystone), startNeutronAgent(place)])
}

/** Tests remove theirs; one that was ended by its limit does not. */
async function removeNamespaces(place: Place): Promise<void> {
  const cloud = cloudIn(place.folder)
  const kinds: readonly ScopeKind[] = ['router', 'network', 'ovn']
  const ids = (cloud?.guests ?? []).flatMap(({ network, ovn }) => [
    network.routerId ?? network.id,
    ovn.network.id,
  ])
  for (const name of ids.flatMap((id) =>
    kinds.flatMap((kind) => Object.values(namespacesOf(kind, id))),
  )) {
    if (existsSync(`/run/netns/${name}`)) await run('ip', ['netns', 'delete', name])
  }
}

/** Ends every daemon and removes the folder. */
export async function tearDown(
  place: Place,
  options: { readonly keepFolder?: boolean } = {},
): Promise<void> {
  await stopAll(place)
  await removeNamespaces(place)
  if (options.keepFolder !== true) rmSync(place.folder, { recursive: true, force: true })
}
