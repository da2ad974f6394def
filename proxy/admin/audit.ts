/** Is every namespace of this host served as it should be? Compares our state with the kernel's. */
import { fstatSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  certificateFindings,
  healthFindings,
  type AuditFinding,
  type AuditReport,
  wholeFinding,
} from '../../lib/operator/audit-findings.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { causeCode } from './cause-code.ts'
import type { RefusedNamespace } from '../namespaces/plan-attachments.ts'
import type { Canary } from '../canary/canary.ts'
import type { Interception } from '../interception/interception.ts'
import type { NamespaceHoldings } from '../namespaces/listener-status.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import { openNamespace } from '../netns/namespace-handle.ts'
import { holdersText, type PortHolders } from '../netns/port-holder.ts'
import { listListeningRows } from '../../lib/host/port-listeners.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import type { WorkerStatus } from '../supervisor/worker-pool.ts'

/** What an auditor looks at. */
export interface ProxyAuditorParts {
  readonly health: () => HealthReport
  readonly listeners: Pick<Listeners, 'holdings'>
  readonly interception: Pick<Interception, 'stateOf' | 'rulesNow' | 'troubled'>
  readonly canary: Pick<Canary, 'stateOf'> | undefined
  readonly holders: Pick<PortHolders, 'find'>
  readonly window: NamespaceWindow
  readonly refused: () => readonly RefusedNamespace[]
  readonly workers: () => readonly WorkerStatus[]
  readonly certificate: () =>
    { readonly expiresAt: number; readonly refusal?: string | undefined } | undefined
  readonly clock: Clock
}

/** The body of the proxy's `/audit`. */
export interface ProxyAuditReport extends AuditReport {
  /** What is served, so that an agent can be queried for it: `["router/ID"]`. */
  readonly scopes: readonly string[]
}

/** One turn of the loop looks about so long, then others get theirs. */
const slice: Milliseconds = 5

/** Audits one proxy. Changes nothing. */
export class ProxyAuditor {
  readonly #parts: ProxyAuditorParts

  constructor(parts: ProxyAuditorParts) {
    this.#parts = parts
  }

  async audit(): Promise<ProxyAuditReport> {
    const { listeners, refused, clock } = this.#parts
    const findings: AuditFinding[] = [
      ...this.#removalFindings(),
      ...this.#certificateFindings(),
      ...refused().map(
        ({ netns, why }) => ({ code: 'namespace_refused', about: netns, what: why }) as const,
      ),
    ]
    const notes: string[] = []
    const namespaces = listeners.holdings()
    let end = clock.now() + slice
    for (const one of namespaces) {
      if (clock.now() >= end) {
        await nextTurn()
        end = clock.now() + slice
      }
      findings.push(...this.#namespaceFindings(one, notes))
    }
    const intercepted = namespaces.filter(({ attachment }) => attachment.intercept)
    return {
      checked: {
        namespaces: namespaces.length,
        listeners: namespaces.reduce((sum, { fds }) => sum + fds.length, 0),
        rule_sets: intercepted.length,
        workers: this.#parts.workers().length,
      },
      notes,
      findings: [...findings, ...healthFindings(this.#parts.health(), findings)].map(wholeFinding),
      scopes: [...new Set(namespaces.map(({ status }) => status.scope))],
    }
  }

  #namespaceFindings(one: NamespaceHoldings, notes: string[]): readonly AuditFinding[] {
    const { attachment, status } = one
    const { netns: about } = attachment
    const findings: AuditFinding[] = []
    if (status.state !== 'serving') {
      const what = status.why ?? `No worker accepts in it yet (${status.state})`
      findings.push({ code: causeCode(status.why) ?? 'namespace_not_served', about, what })
    } else if (status.why !== undefined) {
      findings.push({ code: causeCode(status.why) ?? 'listener_missing', about, what: status.why })
    }
    findings.push(...absentFindings(about, status.absent ?? []))
    try {
      findings.push(...this.#socketFindings(one), ...this.#ruleFindings(one))
    } catch (cause) {
      // Usually on its way out: the next look at the namespaces settles it.
      notes.push(`${about} could not be looked into: ${causeText(cause)}`)
    }
    // Of two about one thing the later one knows more.
    const last = findings.filter(
      ({ code }, index) => findings.findLastIndex((other) => other.code === code) === index,
    )
    const bird = this.#parts.canary?.stateOf(attachment.key)
    if (bird?.state === 'down') {
      last.push({ code: 'canary_down', about, what: bird.why ?? 'It was not answered' })
    }
    return last
  }

  #socketFindings({ attachment, fds }: NamespaceHoldings): readonly AuditFinding[] {
    const { window, holders } = this.#parts
    const { path, key, netns: about } = attachment
    const handle = openNamespace(path)
    try {
      if (handle.key !== key) return []
      const rows = window.run(handle, () => listListeningRows('thread-self'))
      const ours = new Set(fds.map((fd) => String(fstatSync(fd).ino)))
      const there = new Set(rows.map(({ inode }) => inode))
      const findings: AuditFinding[] = []
      const gone = [...ours].filter((inode) => !there.has(inode)).length
      if (gone > 0) {
        const what = `${gone} of ${ours.size} listening sockets do not listen any more`
        findings.push({ code: 'listener_missing', about, what })
      }
      const tcpPorts = new Set(attachment.listen.map(({ tcpPort }) => tcpPort))
      const foreign = rows.filter(({ tcpPort, inode }) => tcpPorts.has(tcpPort) && !ours.has(inode))
      for (const tcpPort of new Set(foreign.map((row) => row.tcpPort))) {
        const others = holders.find(path, key, tcpPort).filter(({ pid }) => pid !== process.pid)
        const what = `TCP port ${tcpPort}: ${holdersText(others)}`
        findings.push({ code: causeCode(what) ?? 'foreign_listener', about, what })
      }
      return findings
    } finally {
      handle.close()
    }
  }

  #ruleFindings({ attachment }: NamespaceHoldings): readonly AuditFinding[] {
    const { interception } = this.#parts
    const { key, netns: about, intercept } = attachment
    const state = interception.stateOf(key)
    if (!intercept || state === undefined) return []
    if (state.state !== 'applied') {
      const what = state.why ?? 'They are being loaded'
      return [{ code: causeCode(state.why) ?? 'rules_missing', about, what }]
    }
    const findings: AuditFinding[] = []
    if (state.why !== undefined) {
      findings.push({ code: 'rules_incomplete', about, what: state.why })
    }
    const rules = interception.rulesNow(key)
    if (rules !== undefined && rules.found !== rules.expected) {
      const what = `Our table has ${rules.found} rules instead of ${rules.expected}: another program changed it just now`
      findings.push({ code: 'rules_missing', about, what })
    }
    return findings
  }

  /** Of the latest minutes; the rules are there again. */
  #removalFindings(): readonly AuditFinding[] {
    return this.#parts.interception.troubled().flatMap(({ netns, removals }) => {
      const { count, by = 'an unknown program' } = removals
      const times = count === 1 ? 'once' : `${count} times`
      const what = `Removed ${times} in 10 minutes, last by ${by}`
      return count === 0 ? [] : [{ code: 'rules_removed', about: netns, what } as const]
    })
  }

  #certificateFindings(): readonly AuditFinding[] {
    const certificate = this.#parts.certificate()
    if (certificate === undefined) return []
    return certificateFindings(
      'certificate of this host',
      certificate,
      this.#parts.clock.wallTime(),
    )
  }
}

function absentFindings(about: string, absent: readonly string[]): readonly AuditFinding[] {
  return absent.map((address) => ({
    code: address.startsWith('[') ? 'ipv6_address_missing' : 'address_missing',
    about,
    what: `No interface has the address of ${address}`,
  }))
}
