import type { Count } from '../../lib/runtime/clock.ts'
import { Counter, Gauge, metricNamespace, type Registry } from '../../lib/observe/metrics.ts'
import { documentClasses } from '../../lib/shield/document-class.ts'
import { tagOutcomes, type TagOutcome } from './network-tags.ts'
import type { SeenRequest } from './readiness.ts'
import { shields } from '../../lib/shield/shields.ts'
import type { ShieldObserver } from './shield.ts'
import type { TokenState } from './tokens.ts'

const prefix = `${metricNamespace}_agent_shield`
const tokenStates = ['valid', 'malformed', 'unknown_key', 'expired', 'foreign'] as const

/** Every metric about shields and tokens. */
export class ShieldMetrics implements Pick<ShieldObserver, 'tokenMade' | 'tokenLooked'> {
  readonly #findings: Counter<'shield' | 'documents' | 'action'>
  readonly #tokens: Counter<'outcome'>
  readonly #files: Counter<'file' | 'outcome'>
  readonly #tags: Counter<'outcome'>
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
    const registers = [registry]
    this.#findings = new Counter({
      name: `${prefix}_findings_total`,
      help: 'Requests that did not pass a shield, by shield, class of document and what the policy does: observe (served) or enforce (refused).',
      labelNames: ['shield', 'documents', 'action'],
      registers,
    })
    this.#tokens = new Counter({
      name: `${prefix}_tokens_total`,
      help: 'Session tokens: made, and looked at by what they were: valid, malformed, unknown_key (made with a key that this agent does not have), expired, foreign (of another guest, or forged).',
      labelNames: ['outcome'],
      registers,
    })
    this.#files = new Counter({
      name: `${prefix}_files_total`,
      help: 'Changed files of the shield, by file and outcome: used, or refused while the old one stays. The file of the state (state) is read at the start alone.',
      labelNames: ['file', 'outcome'],
      registers,
    })
    this.#tags = new Counter({
      name: `${prefix}_network_tags_total`,
      help: 'Tags of networks that begin with overlapd:, when first read or changed: used, unreadable, or beyond_limit (more than 64 of a network). What is not used is logged.',
      labelNames: ['outcome'],
      registers,
    })
    for (const outcome of tagOutcomes) this.#tags.inc({ outcome }, 0)
    for (const shield of shields) {
      for (const documents of documentClasses) {
        for (const action of ['observe', 'enforce'] as const) {
          this.#findings.inc({ shield, documents, action }, 0)
        }
      }
    }
    for (const outcome of ['made', ...tokenStates]) this.#tokens.inc({ outcome }, 0)
    for (const file of ['policy', 'keys', 'state'] as const) {
      for (const outcome of ['used', 'refused'] as const) this.#files.inc({ file, outcome }, 0)
    }
  }

  /** Adds the gauges, which read what they show when they are read. */
  watch({ rules, windows }: { readonly rules: () => Count; readonly windows: () => Count }): void {
    const gauge = (name: string, help: string, read: () => Count): void => {
      const made: Gauge = new Gauge({
        name: `${prefix}_${name}`,
        help,
        registers: [this.#registry],
        collect: () => made.set(read()),
      })
    }
    gauge('rules', 'Rules of the policy in force.', rules)
    gauge('windows', 'Instances whose window before sealing is kept; at most 100,000.', windows)
  }

  found({ findings, requests }: Pick<SeenRequest, 'findings' | 'requests'>): void {
    for (const { shield, documents, action } of findings) {
      this.#findings.inc({ shield, documents, action }, requests)
    }
  }

  tokenMade(): void {
    this.#tokens.inc({ outcome: 'made' })
  }

  tokenLooked(state: TokenState): void {
    this.#tokens.inc({ outcome: state })
  }

  tagRead(outcome: TagOutcome): void {
    this.#tags.inc({ outcome })
  }

  fileRead(file: 'policy' | 'keys' | 'state', outcome: 'used' | 'refused'): void {
    this.#files.inc({ file, outcome })
  }
}
