/** Does a guest get its own metadata, and where is the time spent? */
import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { adminAddress } from '../../lib/cli/admin-sockets.ts'
import { UsageError, type CommandCall } from '../../lib/cli/command.ts'
import { netnsFolder, type Daemon } from '../../lib/config/defaults.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { AdminUnreachableError, requestAdminJson } from '../../lib/http/admin-client.ts'
import { parseInstanceId } from '../../lib/identity/ids.ts'
import { isErrno } from '../../lib/linux/libc.ts'
import { mappings, textOf } from '../../lib/operator/answer-fields.ts'
import { readExplanation, type Explanation } from '../../lib/operator/explanation.ts'
import { searchGuests, type FoundGuest } from '../../lib/operator/guest-search.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { openWindow, type NamespaceWindow } from '../../proxy/netns/window.ts'
import { findGuestNamespace } from './guest-namespace.ts'
import { requestAsGuest, type GuestAnswer, type NoAnswer } from './guest-request.ts'
import { hopsOf, type ServedPlace } from './hops.ts'
import type { TestReport } from './test-report.ts'
import { requestAsWorker } from './worker-request.ts'

const usualTarget = '/openstack/latest/meta_data.json'
const limit = 10_000

/** The proxy of this host, as far as a test wants to know it. */
interface ProxyView {
  readonly places: readonly (ServedPlace & { readonly scope: string })[]
  /** Where workers find the agent, when that is on this host. */
  readonly agentSocket: string | undefined
}

/** @throws {UsageError} @throws {AdminUnreachableError} */
export async function testGuest(call: CommandCall): Promise<TestReport> {
  const { options } = call
  const netns = options.text('netns')
  const instance = options.text('instance')
  if (netns === undefined && instance === undefined) {
    throw new UsageError('give --netns, --instance, or both')
  }
  if (instance !== undefined && parseInstanceId(instance) === undefined) {
    throw new UsageError(`--instance ${JSON.stringify(instance)} is no id of an instance`)
  }
  const folder = options.text('netnsDir') ?? netnsFolder
  const path = netns === undefined || isAbsolute(netns) ? netns : join(folder, netns)
  if (path !== undefined && !existsSync(path)) {
    throw new UsageError(`there is no namespace "${path}"; "ip netns list" lists those there are`)
  }
  const window = await openWindow()
  try {
    const view = await proxyView(call)
    const served = view.places.find((place) => place.netns === netns)
    if (path !== undefined && served === undefined) {
      return await testFrom(call, window, path, undefined, instance)
    }
    const guest = await guestOf(call, instance, served?.scope)
    const own = findGuestNamespace(window, folder, guest)
    if (own === undefined) return await testThrough(call, view, guest)
    const report = await testFrom(call, window, own, guest, guest.instanceId)
    // Address and MAC may be those of another guest elsewhere: networks overlap.
    const isAnother = report.scope !== undefined && report.scope !== guest.scope
    return isAnother ? await testThrough(call, view, guest) : report
  } catch (thrown) {
    if (isErrno(thrown, 'EPERM') || isErrno(thrown, 'EACCES')) {
      const remedy = 'Cannot enter a namespace without CAP_SYS_ADMIN: run "sudo overlapd test"'
      throw new Error(remedy, { cause: thrown })
    }
    throw thrown
  } finally {
    window.close()
  }
}

async function proxyView(call: CommandCall): Promise<ProxyView> {
  const { value } = await requestAdminJson(adminAddress('proxy', call), '/status')
  const status = isMapping(value) ? value : {}
  const places = mappings(status['namespaces']).map((one) => ({
    netns: textOf(one['netns']),
    scope: textOf(one['scope']),
    state: textOf(one['state']),
    interception: one['interception'] === undefined ? undefined : textOf(one['interception']),
  }))
  const agents = mappings(status['agents']).map(({ agent }) => textOf(agent))
  return { places, agentSocket: agents.find((agent) => agent.startsWith('/')) }
}

/** A guest of the instance, or any guest of the scope. */
async function guestOf(
  call: CommandCall,
  instance: string | undefined,
  scope: string | undefined,
): Promise<FoundGuest> {
  const search = await searchGuests(
    call,
    (guest) =>
      (instance === undefined ? guest.instanceId !== '' : guest.instanceId === instance) &&
      (scope === undefined || guest.scope === scope),
  )
  if (typeof search === 'string') throw new Error(search)
  const [guest] = search.guests
  if (guest !== undefined) return guest
  const what = instance === undefined ? 'guest' : `address of instance ${instance}`
  const where = scope === undefined ? `the ${search.scopes} scopes of this host` : scope
  throw new Error(`The port directory of the agent has no ${what} in ${where}`)
}

async function testFrom(
  call: CommandCall,
  window: NamespaceWindow,
  path: string,
  guest: FoundGuest | undefined,
  instance: string | undefined,
): Promise<TestReport> {
  const target = call.options.text('path') ?? usualTarget
  const answer = await requestAsGuest(window, path, target, systemClock, limit)
  return await report(call, { from: path, target, guest, instance }, answer)
}

async function testThrough(
  call: CommandCall,
  { places, agentSocket }: ProxyView,
  guest: FoundGuest,
): Promise<TestReport> {
  const target = call.options.text('path') ?? usualTarget
  const served = places.find(({ scope }) => scope === guest.scope)
  if (agentSocket === undefined) {
    throw new Error('The agents are on other hosts, and the guest has no namespace of its own here')
  }
  const answer = await requestAsWorker(agentSocket, guest, target, systemClock, limit)
  const subject = { from: agentSocket, target, guest, instance: guest.instanceId, served }
  return await report(call, subject, answer)
}

interface Subject {
  readonly from: string
  readonly target: string
  readonly guest: FoundGuest | undefined
  /** Whose metadata it must be; absent where any will do. */
  readonly instance: string | undefined
  readonly served?: ServedPlace | undefined
}

async function report(
  call: CommandCall,
  { from, target, guest, instance, served }: Subject,
  answer: GuestAnswer | NoAnswer,
): Promise<TestReport> {
  const isAnswered = 'status' in answer
  const requestId = isAnswered ? answer.requestId : undefined
  const [proxy, agent] = await Promise.all([
    explained(call, 'proxy', requestId),
    explained(call, 'agent', requestId),
  ])
  const { status, reason, answered } = isAnswered ? answer : {}
  const { connected } = answer
  const hops = hopsOf({ connected, answered, status, reason, proxy, agent, served })
  const scope = proxy?.steps[0]?.detail['scope']
  const got = isAnswered ? instanceIn(answer.body) : undefined
  return {
    from,
    target,
    hops,
    ...(guest && { guest }),
    ...(typeof scope === 'string' && { scope }),
    ...(requestId !== undefined && { requestId }),
    ...(status !== undefined && { status }),
    ...(reason !== undefined && { reason }),
    ...(answered !== undefined && { total: Math.round(answered * 1_000) / 1_000 }),
    ...(got !== undefined && { instanceId: got }),
    verdict: verdictOf(answer, instance, got),
    ...(!isAnswered && { why: answer.why }),
  }
}

function verdictOf(
  answer: GuestAnswer | NoAnswer,
  wanted: string | undefined,
  got: string | undefined,
): TestReport['verdict'] {
  if (!('status' in answer)) return 'not answered'
  if (answer.requestId === undefined) return 'answered by something else'
  if (wanted !== undefined && got !== undefined && got !== wanted) return 'WRONG METADATA'
  if (answer.status >= 400) return 'refused'
  return got === undefined ? 'answered' : 'own metadata'
}

/** The instance that a document of OpenStack's names. */
function instanceIn(body: string): string | undefined {
  try {
    const document = JSON.parse(body) as unknown
    const uuid = isMapping(document) ? document['uuid'] : undefined
    return typeof uuid === 'string' ? uuid : undefined
  } catch {
    return undefined
  }
}

async function explained(
  call: CommandCall,
  daemon: Daemon,
  requestId: string | undefined,
): Promise<Explanation | undefined> {
  if (requestId === undefined) return undefined
  try {
    const path = `/explain?${new URLSearchParams({ request: requestId }).toString()}`
    const { value } = await requestAdminJson(adminAddress(daemon, call), path)
    return readExplanation(value)
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return undefined
  }
}
