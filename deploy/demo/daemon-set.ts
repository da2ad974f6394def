import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { Daemon } from './daemons.ts'
import { agentDocument, placesIn, topologyDocument, type DemoPlaces } from './documents.ts'
import { freeTcpPort } from './free-tcp-port.ts'
import type { DemoTopology } from './topology.ts'
import { nobody, othersCanRead } from './unprivileged.ts'

const patience: Milliseconds = 20_000

/** The user that needs no privilege runs as, where that is another one than ours. */
export interface RunAs {
  readonly uid: number
  readonly gid: number
}

/** Root gives its privileges up for the agent when others can read the programs. */
export function otherUser(): RunAs | undefined {
  const canChange = process.getuid?.() === 0
  return canChange && othersCanRead(join(import.meta.dirname, '..', '..', 'agent-side', 'main.js'))
    ? nobody
    : undefined
}

/** Makes the run's folder with the documents that all daemons read. */
export async function layOut(
  topology: DemoTopology,
  runAs: RunAs | undefined,
): Promise<DemoPlaces> {
  const folder = await mkdtemp(join(tmpdir(), 'overlapd-demo-'))
  const places = placesIn(folder, await freeTcpPort())
  await mkdir(places.netnsFolder)
  await writeFile(places.topologyFile, documentText(topologyDocument(topology)))
  await writeFile(places.agentConfig, documentText(agentDocument(places)))
  await writeFile(places.secretFile, randomBytes(24).toString('hex'), { mode: 0o600 })
  // Every user may look into the folder of a demo; the secret in it is for the agent alone.
  chmodSync(folder, 0o755)
  if (runAs !== undefined) {
    for (const path of [folder, places.secretFile]) chownSync(path, runAs.uid, runAs.gid)
  }
  return places
}

/** JSON is YAML, and needs no writer of its own. */
export function documentText(document: unknown): string {
  return `${JSON.stringify(document, undefined, 2)}\n`
}

/** Starts the development compute API and the agent. */
export async function startAgentSide(
  places: DemoPlaces,
  runAs: RunAs | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly compute: Daemon; readonly agent: Daemon }> {
  const rights = runAs === undefined ? {} : { runAs }
  const computeUrl = `http://127.0.0.1:${places.computeTcpPort}/`
  const compute = Daemon.start(
    {
      name: 'the compute metadata API for development',
      program: 'agent-side/main.js',
      arguments: [
        'serve-dev-compute',
        '--file',
        places.topologyFile,
        '--listen',
        `127.0.0.1:${places.computeTcpPort}`,
        '--shared-secret-file',
        places.secretFile,
      ],
      logFile: `${places.folder}/compute.log`,
      probe: async () => (await fetch(computeUrl).catch(() => undefined))?.ok ?? false,
      ...rights,
    },
    environment,
  )
  const agent = Daemon.start(
    {
      name: 'overlapd-agent',
      program: 'agent-side/main.js',
      arguments: ['serve', '--config', places.agentConfig],
      logFile: `${places.folder}/agent.log`,
      adminSocket: places.agentAdminSocket,
      ...rights,
    },
    environment,
  )
  try {
    await Promise.all([compute.ready(patience), agent.ready(patience)])
  } catch (cause) {
    await Promise.all([compute.stop(), agent.stop()])
    throw cause
  }
  return { compute, agent }
}

/** Removes the run's folder with everything in it. */
export async function removeFolder(places: DemoPlaces): Promise<void> {
  await rm(places.folder, { recursive: true, force: true })
}
