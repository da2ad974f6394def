/** How does a whole OpenStack come up and go? */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Count } from '../../lib/runtime/clock.ts'
import { cloudIn, seedCloud } from './cloud.ts'
import { run, stopAll } from './daemon.ts'
import { namespacesOf, type ScopeKind } from './namespace-names.ts'
import { endStragglers, ownWhatWeStart } from './owner.ts'
import { makePlace, type Place } from './place.ts'
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

/** Somebody else may take a TCP port between its choice and its use, and a busy machine may be too slow once. */
const attempts: Count = 2

/**
 * Starts and fills everything. What was started is ended again when something fails.
 * @param made is told of the folder before anything runs in it
 * @throws Error when it did not come up; the logs stay
 */
export async function bringUp(progress: Progress, made: (place: Place) => void): Promise<Place> {
  for (let attempt = 1; ; attempt += 1) {
    const place = await makePlace()
    made(place)
    ownWhatWeStart(place)
    try {
      await startServices(place, progress)
      return place
    } catch (cause) {
      const isLast = attempt === attempts
      await tearDown(place, { keepLogs: isLast })
      if (isLast) {
        throw new Error(`OpenStack did not come up; logs are in ${place.folder}/log`, { cause })
      }
      progress(`OpenStack did not come up, trying once more: ${String(cause)}`)
    }
  }
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

/** Ends every process and removes the namespaces and the folder. */
export async function tearDown(
  place: Place,
  options: { readonly keepLogs?: boolean } = {},
): Promise<void> {
  await stopAll(place)
  await endStragglers(place)
  await removeNamespaces(place)
  const kept = options.keepLogs === true ? ['log'] : []
  for (const name of readdirSync(place.folder)) {
    if (!kept.includes(name)) rmSync(join(place.folder, name), { recursive: true, force: true })
  }
  if (kept.length === 0) rmSync(place.folder, { recursive: true, force: true })
}
