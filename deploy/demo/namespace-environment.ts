import { symlink, writeFile } from 'node:fs/promises'
import { netnsFolder } from '../../lib/config/defaults.ts'
import { metadataIpv4, metadataIpv6 } from '../../lib/wire/metadata-address.ts'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { Daemon } from './daemons.ts'
import { documentText, layOut, otherUser, removeFolder, startAgentSide } from './daemon-set.ts'
import { proxyDocument, type DemoPlaces } from './documents.ts'
import {
  setUpNetworks,
  linkLocalOf,
  removeLeftovers,
  removeNetworks,
  runWord,
} from './network-setup.ts'
import type { DemoEnvironment } from './environment.ts'
import { planTopology, type DemoTopology } from './topology.ts'
import { fetchInNamespace, metadataPath } from './guest-checks.ts'

export interface NamespaceEnvironmentOptions {
  readonly guests: Count
  readonly networks: Count
  readonly rootless: boolean
  readonly environment: NodeJS.ProcessEnv
  readonly progress: (text: string) => void
}

const proxyPatience: Milliseconds = 60_000

/** Builds the demo on real network namespaces. */
export async function namespaceEnvironment(
  options: NamespaceEnvironmentOptions,
): Promise<DemoEnvironment> {
  const leftovers = await removeLeftovers()
  if (leftovers > 0) options.progress(`removed ${leftovers} namespaces that an earlier demo left`)
  const topology = planTopology({ ...options, run: runWord(process.pid) })
  const runAs = options.rootless ? undefined : otherUser()
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  try {
    options.progress(`building ${options.networks} networks and ${options.guests} guests`)
    closers.push(() => removeNetworks(topology.run))
    await setUpNetworks(topology)
    const places = await layOut(topology, runAs)
    closers.push(() => removeFolder(places))
    await nameNamespaces(topology, places)
    options.progress('starting the compute API, the agent and the proxy')
    const { compute, agent } = await startAgentSide(places, runAs, options.environment)
    closers.push(
      () => compute.stop(),
      () => agent.stop(),
    )
    const proxy = await startProxy(places, options)
    closers.push(() => proxy.stop())
    return {
      kind: 'namespaces',
      guestAccess: options.rootless ? 'none' : 'root',
      notes: notesOf(options, runAs !== undefined),
      topology,
      places,
      pids: { demo: process.pid, compute: compute.pid, agent: agent.pid, proxy: proxy.pid },
      requestsOf: (guest) => [
        { url: `http://${metadataIpv4}${metadataPath}`, from: guest.ip },
        { url: `http://[${metadataIpv6}%25eth0]${metadataPath}`, from: linkLocalOf(guest.mac) },
      ],
      fetch: fetchInNamespace,
      failed: Promise.race([compute, agent, proxy].map((daemon) => daemon.failure())),
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** Links under Neutron's names, in a folder of the demo's own: the proxy finds these namespaces and no others. */
async function nameNamespaces(topology: DemoTopology, places: DemoPlaces): Promise<void> {
  for (const network of topology.networks) {
    await symlink(`${netnsFolder}/${network.netns}`, `${places.netnsFolder}/${network.neutronName}`)
  }
}

async function startProxy(
  places: DemoPlaces,
  options: NamespaceEnvironmentOptions,
): Promise<Daemon> {
  const document = proxyDocument(places, options.rootless ? { workerUser: 'root' } : {})
  await writeFile(places.proxyConfig, documentText(document))
  const proxy = Daemon.start(
    {
      name: 'overlapd-proxy',
      program: 'proxy/main.js',
      arguments: ['serve', '--config', places.proxyConfig],
      logFile: `${places.folder}/proxy.log`,
      adminSocket: places.proxyAdminSocket,
    },
    options.environment,
  )
  try {
    await proxy.ready(proxyPatience)
    return proxy
  } catch (cause) {
    await proxy.stop()
    throw cause
  }
}

function notesOf(options: NamespaceEnvironmentOptions, changedUser: boolean): string[] {
  if (options.rootless) return ['Without root, in a user namespace: all processes share one user.']
  return changedUser
    ? []
    : ['Other users cannot read this folder, so the agent runs as the user who started the demo.']
}
