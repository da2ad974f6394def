import { jsonText } from '../../lib/cli/json-output.ts'
import { writeFile } from 'node:fs/promises'
import type { Count } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { findGround, runInUserNamespace } from './privilege.ts'
import { loopbackEnvironment } from './loopback-environment.ts'
import { namespaceEnvironment } from './namespace-environment.ts'
import { introduction, outlook, checksReport } from './report.ts'
import type { DemoEnvironment } from './environment.ts'
import { stateDocument } from './state.ts'
import { checkGuests, type GuestCheck } from './guest-checks.ts'

export interface DemoOptions {
  /** Verify and end, instead of serving until a signal. */
  readonly once: boolean
  /** Print the checks as JSON instead of a table. */
  readonly json: boolean
  /** Guests in all; one a network by default. */
  readonly guests?: Count
  /** Networks in all. @default 3: two with routers and one without */
  readonly networks?: Count
  /** Where to write what was built, for other tools. */
  readonly state?: string
  readonly environment: NodeJS.ProcessEnv
  readonly out: (text: string) => void
  readonly progress: (text: string) => void
  /** Resolves when the demo should end. */
  readonly stopped: Promise<unknown>
}

const usualNetworks = 3

/**
 * The demo: overlapping networks on this machine, and guests that fetch their metadata.
 * @returns the exit code: 0 when each guest got its own metadata, 1 when one did not or the demo could not be built
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const ground = findGround(options.environment)
  if (ground.kind === 'user-namespace') {
    options.progress('not root: using a user namespace of our own')
    return runInUserNamespace(options.environment)
  }
  const networks = options.networks ?? usualNetworks
  const size = { networks, guests: options.guests ?? networks }
  let demo: DemoEnvironment | undefined
  try {
    const built =
      ground.kind === 'ready'
        ? await namespaceEnvironment({ ...size, ...options, rootless: ground.rootless })
        : await loopbackEnvironment({ ...size, ...options, why: ground.why })
    demo = built
    return await play(built, options)
  } catch (cause) {
    options.progress(`the demo failed: ${causeText(cause)}`)
    return 1
  } finally {
    await demo?.close()
  }
}

async function play(demo: DemoEnvironment, options: DemoOptions): Promise<number> {
  const checks = await checkGuests(demo.topology, demo.requestsOf, demo.fetch, (done, total) => {
    if (total > 20 && (done % 50 === 0 || done === total)) {
      options.progress(`${done} of ${total} guests have sent their requests`)
    }
  })
  if (options.state !== undefined) {
    await writeFile(options.state, `${JSON.stringify(stateDocument(demo, checks), undefined, 2)}\n`)
  }
  const right = checks.every((check) => check.verdict === 'own metadata')
  if (options.json) options.out(jsonText({ visits: jsonReport(checks) }))
  else options.out(`${introduction(demo)}\n\n${checksReport(checks)}\n`)
  if (!options.once) {
    if (!options.json) options.out(`\n${outlook(demo, options.environment)}\n`)
    const failure = await Promise.race([options.stopped.then(() => undefined), demo.failed])
    options.progress(failure ?? 'stopping')
    if (failure !== undefined) return 1
  }
  return right ? 0 : 1
}

function jsonReport(checks: readonly GuestCheck[]): unknown {
  return checks.map(({ network, guest, request, answer, gotInstanceId, verdict }) => ({
    guest: guest.name,
    network: network.name,
    networkId: network.networkId,
    address: request.from,
    mac: guest.mac,
    instanceId: guest.instanceId,
    gotInstanceId: gotInstanceId ?? null,
    status: answer.status,
    milliseconds: answer.milliseconds,
    verdict,
  }))
}
