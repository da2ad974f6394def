/** Is what this agent would answer what it should? Looks at everything it knows, before a guest sends a request. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  certificateFindings,
  healthFindings,
  type AuditFinding,
  type AuditReport,
  wholeFinding,
} from '../../lib/operator/audit-findings.ts'
import type { ScopeAnswer } from '../../lib/operator/api/agent-api.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { Clock, Count, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../lib/runtime/errors.ts'
import type { NetworkId } from '../../lib/identity/ids.ts'
import { reasonRow, type ReasonCode } from '../../lib/runtime/reason-codes.ts'
import { scopeText, type Scope } from '../../lib/identity/scope.ts'
import type { Decision, DecisionLog } from '../requests/decision-log.ts'
import {
  networksOf,
  type Port,
  type PortDirectory,
  type RouterInterface,
} from '../ports/directory/port-directory.ts'
import type { IdentityRules } from '../resolve/identity-policy.ts'
import type { LookupKey } from '../resolve/resolution.ts'
import { auditScope } from './audit-scope.ts'

/** What an auditor looks at. */
export interface AuditorParts extends IdentityRules {
  readonly health: () => HealthReport
  readonly directory: PortDirectory
  readonly upstreams: {
    readonly all: readonly {
      readonly url: string
      readonly hasRefusedSecrets: boolean
      readonly secretSlot: 'current' | 'next'
    }[]
  }
  readonly decisions: DecisionLog
  readonly certificates: () => readonly {
    readonly address: string
    readonly certificate: { readonly expiresAt: number; readonly refusal?: string | undefined }
  }[]
  readonly clock: Clock
  /** For one question to the directory. */
  readonly timeout: Milliseconds
}

/** What is to be audited. */
export interface AuditRequest {
  /** Those that a proxy serves; every network that the directory holds when absent. */
  readonly scopes: readonly Scope[] | undefined
  /** Whether each answer is to be listed. */
  readonly withAnswers: boolean
}

/** The body of the agent's `/audit`. */
export interface AgentAuditReport extends AuditReport {
  readonly answers?: readonly ScopeAnswer[]
}

/** One turn of the loop works about so long; guests come in between. */
const slice: Milliseconds = 5
const parallelQuestions: Count = 4
const refusalsLookedAt: Count = 100_000
const refusalsOf: Milliseconds = 3_600_000
const mostAnswers: Count = 50_000

interface KnownScope {
  readonly scope: Scope
  readonly networkIds: readonly NetworkId[]
  /** Of a router. */
  readonly interfaces?: readonly RouterInterface[]
}

/** The scopes with their networks, and the ports of each network where they can be listed. */
interface Listed {
  readonly known: readonly KnownScope[]
  readonly ports: ReadonlyMap<NetworkId, readonly Port[]>
}

/** Audits one agent. One audit at a time; it gives way to guests. */
export class Auditor {
  readonly #parts: AuditorParts

  constructor(parts: AuditorParts) {
    this.#parts = parts
  }

  async audit(request: AuditRequest): Promise<AgentAuditReport> {
    const findings: AuditFinding[] = [
      ...this.#secretFindings(),
      ...this.#certificateFindings(),
      ...this.#refusalFindings(),
    ]
    const notes: string[] = []
    const turn = new Turn(this.#parts.clock)
    const listed = await this.#list(request.scopes, findings, notes, turn)
    const answers: ScopeAnswer[] = []
    let addresses = 0
    const ports = new Set<Port>()
    for (const { scope, networkIds, interfaces } of listed.known) {
      await turn.giveWay()
      const lists = networkIds.map((networkId) => listed.ports.get(networkId))
      if (lists.includes(undefined)) continue
      const ofNetworks = lists.flatMap((list) => list ?? [])
      const contents = { scope, networkIds, interfaces, ports: ofNetworks }
      for (const port of contents.ports) ports.add(port)
      const audit = auditScope(this.#parts, contents)
      addresses += audit.answers.length
      findings.push(...audit.findings)
      if (request.withAnswers) answers.push(...audit.answers.slice(0, mostAnswers - answers.length))
    }
    if (request.withAnswers && addresses > answers.length) {
      notes.push(`Of ${addresses} answers the first ${answers.length} are listed`)
    }
    return {
      checked: {
        scopes: listed.known.length,
        networks: listed.ports.size,
        ports: ports.size,
        addresses,
        upstreams: this.#parts.upstreams.all.length,
      },
      notes,
      findings: [...findings, ...healthFindings(this.#parts.health(), findings)].map(wholeFinding),
      ...(request.withAnswers && { answers }),
    }
  }

  async #list(
    scopes: readonly Scope[] | undefined,
    findings: AuditFinding[],
    notes: string[],
    turn: Turn,
  ): Promise<Listed> {
    const { directory } = this.#parts
    if (!directory.readiness().ready) {
      notes.push('Addresses were not looked at: the port directory is not ready')
      return { known: [], ports: new Map() }
    }
    if (scopes === undefined) {
      const ports = await this.#held(undefined, turn)
      if (ports === undefined) {
        notes.push(
          `Addresses were not looked at: ${directory.kind} lists ports of named scopes only`,
        )
      }
      const known = [...(ports ?? new Map<NetworkId, readonly Port[]>()).keys()].map(
        (networkId) => ({
          scope: { kind: 'network', networkId } as const,
          networkIds: [networkId],
        }),
      )
      return { known, ports: ports ?? new Map() }
    }
    const known = await this.#networksOf(scopes, findings)
    const wanted = new Set(known.flatMap(({ networkIds }) => networkIds))
    const ports = (await this.#held(wanted, turn)) ?? (await this.#queried(wanted, findings, notes))
    for (const { scope, networkIds } of known) {
      if (scope.kind !== 'network' || (ports.get(scope.networkId)?.length ?? 1) > 0) continue
      findings.push({
        code: 'scope_unknown',
        about: scopeText(scope),
        what: `No port is known of network ${networkIds.join()}`,
      })
    }
    return { known, ports }
  }

  async #networksOf(scopes: readonly Scope[], findings: AuditFinding[]): Promise<KnownScope[]> {
    const known = new Map<Scope, KnownScope>()
    await this.#each(scopes, async (scope) => {
      if (scope.kind === 'network') {
        known.set(scope, { scope, networkIds: [scope.networkId] })
        return
      }
      const about = scopeText(scope)
      const { routerId } = scope
      try {
        const { interfaces } = await this.#parts.directory.interfacesOfRouter(
          routerId,
          this.#reading(),
        )
        const networkIds = networksOf(interfaces)
        if (networkIds.length > 0) known.set(scope, { scope, networkIds, interfaces })
        else
          findings.push({ code: 'scope_unknown', about, what: 'The router has no known network' })
      } catch (cause) {
        if (!(cause instanceof MetadataError)) throw cause
        findings.push({ code: 'scope_unanswered', about, what: causeText(cause) })
      }
    })
    // Answers come in any order.
    return scopes.flatMap((scope) => known.get(scope) ?? [])
  }

  /** What a directory with a copy of everything holds, of some networks or of all. */
  async #held(
    wanted: ReadonlySet<NetworkId> | undefined,
    turn: Turn,
  ): Promise<Map<NetworkId, Port[]> | undefined> {
    const all = this.#parts.directory.allPorts?.()
    if (all === undefined) return undefined
    const held = new Map<NetworkId, Port[]>([...(wanted ?? [])].map((networkId) => [networkId, []]))
    for (const port of all) {
      if (turn.isOver) await turn.giveWay()
      const known = held.get(port.networkId)
      if (known !== undefined) known.push(port)
      else if (wanted === undefined) held.set(port.networkId, [port])
    }
    return held
  }

  async #queried(
    wanted: ReadonlySet<NetworkId>,
    findings: AuditFinding[],
    notes: string[],
  ): Promise<Map<NetworkId, readonly Port[]>> {
    const { directory } = this.#parts
    const ports = new Map<NetworkId, readonly Port[]>()
    const unlisted: NetworkId[] = []
    await this.#each([...wanted], async (networkId) => {
      try {
        const answer = await directory.portsOfNetwork?.(networkId, this.#reading())
        if (answer === undefined) unlisted.push(networkId)
        else ports.set(networkId, answer.ports)
      } catch (cause) {
        if (!(cause instanceof MetadataError)) throw cause
        const about = `network/${networkId}`
        findings.push({ code: 'scope_unanswered', about, what: causeText(cause) })
      }
    })
    if (unlisted.length > 0) {
      const some = unlisted.slice(0, 5).join(', ')
      notes.push(
        `${directory.kind} is queried address by address about ${unlisted.length} networks, whose ports were not looked at: ${some}`,
      )
    }
    return ports
  }

  async #each<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
    const next = items.values()
    const worker = async (): Promise<void> => {
      for (const item of next) await work(item)
    }
    await Promise.all(Array.from({ length: parallelQuestions }, worker))
  }

  #reading(): { readonly freshness: 'cached'; readonly signal: AbortSignal } {
    return { freshness: 'cached', signal: AbortSignal.timeout(this.#parts.timeout) }
  }

  #secretFindings(): readonly AuditFinding[] {
    return this.#parts.upstreams.all
      .filter(({ hasRefusedSecrets, secretSlot }) => !hasRefusedSecrets && secretSlot === 'next')
      .map(({ url: about }) => ({ code: 'secret_next', about, what: 'It takes the next secret' }))
  }

  #certificateFindings(): readonly AuditFinding[] {
    const now = this.#parts.clock.wallTime()
    return this.#parts
      .certificates()
      .flatMap(({ address, certificate }) => certificateFindings(address, certificate, now))
  }

  /** One finding for each address and reason that was refused in the last hour. */
  #refusalFindings(): readonly AuditFinding[] {
    const since: EpochMilliseconds = this.#parts.clock.wallTime() - refusalsOf
    const groups = new Map<string, { readonly latest: Decision; count: Count }>()
    for (const decision of this.#parts.decisions.latestRefusals(refusalsLookedAt)) {
      if (decision.at < since || !isSignificant(decision.reason)) continue
      const { key, reason } = decision
      const text = `${reason} ${key && scopeText(key.scope)} ${key?.sourceIp}`
      const known = groups.get(text)
      if (known === undefined) groups.set(text, { latest: decision, count: 1 })
      else known.count += 1
    }
    return Array.from(groups.values(), ({ latest, count }) => {
      const { key, reason, requestId, at } = latest
      const from = key && shownOrigin(key)
      const times = count === 1 ? 'once' : `${count} times`
      const when = new Date(at).toISOString()
      return {
        code: 'recent_refusals',
        about: key === undefined ? 'unknown scope' : scopeText(key.scope),
        what: `${reason} ${times} in the last hour${from === undefined ? '' : ` to ${from}`}, last at ${when}, request ${requestId}`,
      } as const
    })
  }
}

function shownOrigin({ sourceIp, sourceMac, ingressPort }: LookupKey): string {
  const ingress = ingressPort === undefined ? '' : ` through router port ${ingressPort}`
  return `${sourceIp} ${sourceMac ?? '(MAC not known)'}${ingress}`
}

/** What a guest alone can bring about is no sign of a fault of ours, but for one that takes what belongs to another. */
function isSignificant(reason: ReasonCode | undefined): reason is ReasonCode {
  if (reason === undefined) return false
  return /^(?:source_mac|ingress)_/.test(reason) || reasonRow(reason).fault !== 'guest'
}

/** When another task should have the processor. */
class Turn {
  readonly #clock: Clock
  #end: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#end = clock.now() + slice
  }

  get isOver(): boolean {
    return this.#clock.now() >= this.#end
  }

  async giveWay(): Promise<void> {
    if (!this.isOver) return
    await nextTurn()
    this.#end = this.#clock.now() + slice
  }
}
