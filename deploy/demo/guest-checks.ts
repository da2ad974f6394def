import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { netnsFolder } from '../../lib/config/defaults.ts'
import type { GuestAnswer } from './guest.ts'
import { inParallel } from './run-command.ts'
import type { DemoGuest, DemoNetwork, DemoTopology } from './topology.ts'

/** The document that every guest fetches first. */
export const metadataPath = '/openstack/latest/meta_data.json'
const guestsAtOnce = 4

/** One way for a guest to fetch its metadata. */
export interface GuestRequest {
  readonly url: string
  /** The address that the metadata service sees. */
  readonly from: string
}

/** What one guest got, and whether it was its own. */
export interface GuestCheck {
  readonly network: DemoNetwork
  readonly guest: DemoGuest
  readonly request: GuestRequest
  readonly answer: GuestAnswer
  /** The `uuid` of the document, or nothing. */
  readonly gotInstanceId: string | undefined
  readonly verdict: 'own metadata' | 'WRONG METADATA' | 'no metadata'
}

/** How to fetch as a guest: inside its namespace, or on the loopback listener that stands for it. One answer for each URL. */
export type FetchAsGuest = (
  network: DemoNetwork,
  guest: DemoGuest,
  urls: readonly string[],
) => Promise<readonly GuestAnswer[]>

/** Runs the guest's program inside the guest's namespace. */
export async function fetchInNamespace(
  _network: DemoNetwork,
  guest: DemoGuest,
  urls: readonly string[],
): Promise<readonly GuestAnswer[]> {
  const program = join(import.meta.dirname, 'guest.js')
  const child = spawn(
    'nsenter',
    [`--net=${netnsFolder}/${guest.netns}`, process.execPath, program, ...urls],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const text = Buffer.concat(chunks).toString()
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as GuestAnswer)
}

/** Lets every guest fetch its metadata in each way that it has. `progress` is called after each guest. */
export async function checkGuests(
  topology: DemoTopology,
  requestsOf: (guest: DemoGuest) => readonly GuestRequest[],
  fetch: FetchAsGuest,
  progress: (done: number, total: number) => void,
): Promise<GuestCheck[]> {
  const pairs = topology.networks.flatMap((network) =>
    network.guests.map((guest) => ({ network, guest })),
  )
  let done = 0
  const checks = await inParallel(pairs, guestsAtOnce, async ({ network, guest }) => {
    const requests = requestsOf(guest)
    const answers = await fetch(
      network,
      guest,
      requests.map(({ url }) => url),
    )
    done += 1
    progress(done, pairs.length)
    return requests.map((request, index) =>
      judge(network, guest, request, answers[index] ?? noAnswer),
    )
  })
  return checks.flat()
}

const noAnswer: GuestAnswer = {
  status: 0,
  body: '',
  milliseconds: 0,
  error: 'the guest printed nothing',
}

function judge(
  network: DemoNetwork,
  guest: DemoGuest,
  request: GuestRequest,
  answer: GuestAnswer,
): GuestCheck {
  const gotInstanceId = answer.status === 200 ? uuidIn(answer.body) : undefined
  const verdict =
    gotInstanceId === guest.instanceId
      ? 'own metadata'
      : gotInstanceId === undefined
        ? 'no metadata'
        : 'WRONG METADATA'
  return { network, guest, request, answer, gotInstanceId, verdict }
}

function uuidIn(body: string): string | undefined {
  try {
    const document: unknown = JSON.parse(body)
    if (typeof document !== 'object' || document === null || !('uuid' in document)) return undefined
    return typeof document.uuid === 'string' ? document.uuid : undefined
  } catch {
    return undefined
  }
}
