/** Can guests be served, as far as this proxy is concerned? */
import type { Count, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'
import {
  partHealth,
  problemOf,
  reserveProblem,
  someOf,
  type DaemonCode,
  type PartHealth,
  type PartProblem,
  type ServedProof,
} from '../../lib/operator/health.ts'
import type { Canary } from '../canary/canary.ts'
import type { Interception, TroubledRules } from '../interception/interception.ts'
import type { NamespaceStatus } from '../namespaces/listener-status.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { RefusedNamespace } from '../namespaces/plan-attachments.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { ServiceRecord } from '../supervisor/service-record.ts'
import type { WorkerPool, WorkerStatus } from '../supervisor/worker-pool.ts'
import type { AgentStatus } from './agent-status.ts'
import { causeCode } from './cause-code.ts'

/** What the health of a proxy is made of. */
export interface ProxyHealthParts {
  readonly listeners: Pick<Listeners, 'troubled' | 'count'>
  readonly interception: Pick<Interception, 'troubled' | 'count'>
  readonly canary: Pick<Canary, 'troubled' | 'lastAnswer'> | undefined
  readonly ovnProvision: Pick<OvnProvision, 'health'> | undefined
  readonly pool: Pick<WorkerPool, 'status'> & {
    readonly record: Pick<ServiceRecord, 'servedAt' | 'recentDeaths'>
  }
  readonly agents: () => readonly AgentStatus[]
  readonly refused: () => readonly RefusedNamespace[]
  /** Names that should be served and on which nothing is mounted. */
  readonly unmounted: () => readonly string[]
  readonly hasLooked: () => boolean
  /** Capabilities that the proxy needs and lacks: `CAP_NET_ADMIN`. */
  readonly missingCapabilities: readonly string[]
  readonly certificateEnds: () => EpochMilliseconds | undefined
  readonly wallTime: () => EpochMilliseconds
}

/** Deaths of workers in five minutes that are no accident any more. */
const manyDeaths: Count = 3
/** Removals of rules in ten minutes that are no accident any more. */
const manyRemovals: Count = 3
/** A worker needs less than a second for its start; on a machine whose processors are all busy, many seconds. */
const longestStart: Milliseconds = 60_000

/** The health of one proxy. It remembers that the start is over: later a new namespace is nothing to wait for. */
export class ProxyHealth {
  readonly #parts: ProxyHealthParts
  #hasStarted = false

  constructor(parts: ProxyHealthParts) {
    this.#parts = parts
  }

  parts(): readonly PartHealth[] {
    const { missingCapabilities, ovnProvision } = this.#parts
    const missing = missingCapabilities.join(', ')
    return [
      partHealth(
        'capabilities',
        missing === '' ? 'all there' : `${missing} missing`,
        reserveProblem(
          'capability_missing',
          [missingCapabilities.length, missingCapabilities.length],
          `${missing} is missing`,
        ),
      ),
      this.#workers(),
      this.#agents(),
      ...this.#namespacesAndRules(),
      ...this.#canaryPart(),
      ...(ovnProvision === undefined ? [] : [ovnProvision.health()]),
    ]
  }

  /** When a guest was served last, and when the canary was. */
  proof(): ServedProof {
    const { pool, canary } = this.#parts
    const guest = pool.record.servedAt
    const bird = canary?.lastAnswer
    return {
      ...(guest !== undefined && { guest: new Date(guest).toISOString() }),
      ...(bird !== undefined && { canary: new Date(bird).toISOString() }),
    }
  }

  #workers(): PartHealth {
    const { pool } = this.#parts
    const workers = pool.status()
    const ready = workers.filter(({ state }) => state === 'ready').length
    const starting = workers.filter((worker) => this.#isFirstStart(worker)).length
    const missing = workers.length - ready - starting
    const code = ready === 0 ? 'no_worker' : 'worker_missing'
    const startingText = starting === 0 ? '' : `, ${starting} starting`
    const deaths = pool.record.recentDeaths
    const dying = `${deaths} workers died in the last 5 minutes`
    return partHealth(
      'workers',
      `${ready} of ${workers.length} ready${startingText}`,
      problemOf(code, [missing, workers.length], `${missing} not ready`),
      ready === 0
        ? problemOf('starting', [starting, starting], 'no worker is ready yet')
        : undefined,
      reserveProblem('workers_restart', [deaths < manyDeaths ? 0 : deaths, deaths], dying),
    )
  }

  /** Whether a worker is the first in its place and still has time: then it is not missing, only not there yet. */
  #isFirstStart({ state, restarts, since }: WorkerStatus): boolean {
    const age = this.#parts.wallTime() - Date.parse(since)
    return state === 'starting' && restarts === 0 && age < longestStart
  }

  /** One that answers is enough, of several agents and for one of the workers. */
  #agents(): PartHealth {
    const agents = this.#parts.agents()
    const unreached = agents.filter(({ down }) => down > 0)
    const away = agents.filter(({ up }) => up === 0)
    const whys = unreached.map(
      ({ agent, lastFailure }) => `${agent}: ${lastFailure ?? 'no answer'}`,
    )
    const some = agents.length === 1 ? 'agent_unreached' : 'agent_unreachable'
    const isNobody = away.length === agents.length
    return partHealth(
      'agents',
      `${agents.length - away.length} of ${agents.length} reachable`,
      isNobody
        ? problemOf('no_agent', [away.length, agents.length], someOf(whys))
        : reserveProblem(some, [unreached.length, agents.length], someOf(whys)),
      this.#certificate(),
    )
  }

  #certificate(): PartProblem | undefined {
    const { certificateEnds, wallTime } = this.#parts
    const ends = certificateEnds()
    if (ends === undefined || ends > wallTime()) return undefined
    const what = `the certificate of this host ended at ${new Date(ends).toISOString()}`
    return problemOf('certificate_over', [1, 1], what)
  }

  #namespacesAndRules(): readonly PartHealth[] {
    const { listeners, interception, refused, unmounted, hasLooked } = this.#parts
    const states = { opening: 0, serving: 0, failed: 0 }
    listeners.count((_kind, state) => (states[state] += 1))
    const applying = interception.count('applying')
    this.#hasStarted ||= hasLooked() && states.opening + applying === 0
    const { troubled } = listeners.troubled()
    const rules = interception.troubled()
    const away = [...refused().map(({ netns }) => netns), ...unmounted()]
    const unserved = new Set([
      ...away,
      ...troubled.filter(isUnserved).map(({ netns }) => netns),
      ...rules.filter(({ state }) => state === 'failed').map(({ netns }) => netns),
    ])
    const all = states.opening + states.serving + states.failed + away.length
    const tally: Tally = { all, isNobody: all > 0 && unserved.size >= all }
    const starting: PartProblem = {
      code: 'starting',
      state: 'not_ready',
      what: hasLooked() ? `${states.opening} opening, ${applying} applying` : 'not looked yet',
      howMany: 1,
      of: 1,
    }
    return [
      {
        name: 'namespaces',
        detail: `${states.serving} serving, ${states.opening} opening, ${states.failed} failed, ${away.length} refused`,
        problems: [
          ...(this.#hasStarted ? [] : [starting]),
          ...this.#refusedProblems(tally),
          ...byCode(tally, troubled.flatMap(causesOf)),
          ...missingAddresses(tally, troubled),
        ],
      },
      {
        name: 'rules',
        detail: `${interception.count('applied')} applied, ${applying} applying, ${interception.count('failed')} failed`,
        problems: [
          ...(this.#hasStarted || applying === 0 ? [] : [starting]),
          ...byCode(tally, rules.flatMap(rulesCause)),
          ...removalProblems(rules),
        ],
      },
    ]
  }

  #refusedProblems(tally: Tally): readonly PartProblem[] {
    const { refused, unmounted } = this.#parts
    const names = unmounted()
    const contradictions = refused().map(({ netns, why }) => `${netns}: ${why}`)
    return [
      unservedProblem('namespace_refused', tally, contradictions),
      unservedProblem('namespace_not_mounted', tally, names, mountRemedy(names)),
    ].filter((one) => one !== undefined)
  }

  #canaryPart(): readonly PartHealth[] {
    const { canary } = this.#parts
    if (canary === undefined) return []
    const { all, down } = canary.troubled()
    const what = someOf(down.map(({ netns, why }) => `${netns}: ${why}`))
    const problem = problemOf('canary_down', [down.length, all], what)
    return [partHealth('canary', `${all - down.length} of ${all} answered`, problem)]
  }
}

/** How many namespaces should be served, and whether none is. */
interface Tally {
  readonly all: Count
  readonly isNobody: boolean
}

interface Cause {
  readonly code: DaemonCode
  readonly text: string
  /** Whether no guest in the namespace is served. */
  readonly isWhole: boolean
}

function isUnserved({ state, absent = [] }: NamespaceStatus): boolean {
  return state !== 'serving' || absent.some(isIpv4Text)
}

function isIpv4Text(address: string): boolean {
  return !address.startsWith('[')
}

function unservedProblem(
  code: DaemonCode,
  { all, isNobody }: Tally,
  texts: readonly string[],
  remedy?: string,
): PartProblem | undefined {
  if (texts.length === 0) return undefined
  const state = isNobody ? 'not_ready' : 'degraded'
  return { code, state, what: someOf(texts), howMany: texts.length, of: all, remedy }
}

function mountRemedy(names: readonly string[]): string {
  const deletion = names.slice(0, 3).map((name) => `"ip netns delete ${name}"`)
  return `In a container, mount /run/netns of the host with propagation (HostToContainer, rslave) and restart the proxy. On the host itself the names are left over: ${deletion.join(', ')}.`
}

function byCode(tally: Tally, causes: readonly Cause[]): readonly PartProblem[] {
  return [...new Set(causes.map(({ code }) => code))].flatMap((code) => {
    const own = causes.filter((one) => one.code === code)
    const texts = own.map(({ text }) => text)
    const isNobody = tally.isNobody && own.some(({ isWhole }) => isWhole)
    return unservedProblem(code, { ...tally, isNobody }, texts) ?? []
  })
}

function causesOf({ netns, state, why }: NamespaceStatus): readonly Cause[] {
  if (why === undefined && state === 'serving') return []
  const text = `${netns}: ${why ?? 'no worker accepts in it yet'}`
  const usual = state === 'serving' ? 'listener_missing' : 'namespace_not_served'
  return [{ code: causeCode(why) ?? usual, text, isWhole: state !== 'serving' }]
}

/** Without IPv6 some clouds are as they should be; then an audit reports it, and nothing else does. */
function missingAddresses(
  tally: Tally,
  troubled: readonly NamespaceStatus[],
): readonly PartProblem[] {
  const texts = troubled.flatMap(({ netns, absent = [] }) => {
    const missing = absent.filter(isIpv4Text)
    return missing.length === 0 ? [] : [`${netns} has no ${missing.join(', ')}`]
  })
  return [unservedProblem('address_missing', tally, texts)].filter((one) => one !== undefined)
}

function rulesCause({ netns, state, why }: TroubledRules): readonly Cause[] {
  if (why === undefined) return []
  if (state !== 'failed') {
    return [{ code: 'rules_incomplete', text: `${netns}: ${why}`, isWhole: false }]
  }
  return [{ code: causeCode(why) ?? 'rules_missing', text: `${netns}: ${why}`, isWhole: true }]
}

function removalProblems(rules: readonly TroubledRules[]): readonly PartProblem[] {
  const fought = rules.filter(({ removals }) => removals.count >= manyRemovals)
  const texts = fought.map(
    ({ netns, removals: { count, by = 'an unknown program' } }) =>
      `${netns}: removed ${count} times in 10 minutes, last by ${by}`,
  )
  const problem = reserveProblem('rules_removed', [fought.length, fought.length], someOf(texts))
  return problem === undefined ? [] : [problem]
}
