/** What would guests lose if the policy enforced every shield? Remembers who was seen, in bounded memory. */
import type { Count, EpochMilliseconds } from '../../lib/runtime/clock.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import { keptText } from '../../lib/observe/kept-text.ts'
import type { DocumentClass } from '../../lib/shield/document-class.ts'
import type { Shield } from '../../lib/shield/shields.ts'
import type { SeenFinding, SeenRow } from '../../lib/shield/seen-row.ts'
import type { Finding } from './judge.ts'
import { shields } from '../../lib/shield/shields.ts'
import type { GuestPolicy, SubjectIds } from './policy.ts'
import type { LookupKey } from '../resolve/resolution.ts'

/** One request, or several that are alike. */
export interface SeenRequest {
  readonly identity: SubjectIds
  readonly scope: LookupKey['scope']
  /** User-Agent. */
  readonly agent: string
  readonly target: string
  readonly classes: readonly DocumentClass[]
  readonly findings: readonly Finding[]
  readonly policy: GuestPolicy
  readonly requests: Count
}

interface Row {
  readonly client: string
  readonly documents: DocumentClass
  requests: Count
  readonly firstAt: EpochMilliseconds
  lastAt: EpochMilliseconds
  lastTarget: string
  /** By shield; absent for those that each request passed. */
  findings: Partial<Record<Shield, SeenFinding>>
  /** When a request was last served without a look at the shield. */
  unlooked: Partial<Record<Shield, EpochMilliseconds>>
}

interface Guest {
  readonly ids: Pick<SeenRow, 'instanceId' | 'projectId' | 'networkId' | 'scope'>
  readonly rows: Map<string, Row>
}

export interface ReadinessOptions {
  /** Guests that are remembered; who was silent longest goes first. @default 10,000 */
  readonly mostGuests?: Count
  /** Of all guests together. @default 50,000 */
  readonly mostRows?: Count
}

/** More programs of one guest are one row for each class: a guest can invent names, and must not push out others. */
const mostClients: Count = 16
const otherClients = '(other programs)'
const longestClient: Count = 80
const longestTarget: Count = 120

/** Remembers the clients of each guest, and which shields they did not pass. */
export class Readiness {
  readonly #mostGuests: Count
  readonly #mostRows: Count
  #size = 0
  readonly #guests = new Map<string, Guest>()
  #forgottenAt: EpochMilliseconds | undefined
  #changes = 0

  constructor({ mostGuests = 10_000, mostRows = 50_000 }: ReadinessOptions = {}) {
    this.#mostGuests = mostGuests
    this.#mostRows = mostRows
  }

  /** Until when guests were seen that had to be forgotten for others; absent while none was. */
  get forgottenAt(): EpochMilliseconds | undefined {
    return this.#forgottenAt
  }

  /** Grows with each change. */
  get changes(): Count {
    return this.#changes
  }

  note(request: SeenRequest, now: EpochMilliseconds): void {
    this.#changes += 1
    const { identity, scope, policy, findings, requests, target } = request
    const guest = this.#guestOf({
      instanceId: identity.instanceId,
      projectId: identity.projectId,
      networkId: identity.networkId,
      scope: scopeText(scope),
    })
    const sizeBefore = guest.rows.size
    for (const documents of request.classes) {
      const row = rowOf(guest, request.agent, documents, now)
      row.requests += requests
      row.lastAt = now
      row.lastTarget = keptText(target, longestTarget)
      for (const shield of shields) {
        if (policy.action(shield, documents).value === 'off') row.unlooked[shield] = now
      }
      for (const { shield, reason, documents: of } of findings) {
        if (of !== documents) continue
        const before = row.findings[shield]?.requests ?? 0
        row.findings[shield] = { reason, requests: before + requests, lastAt: now }
      }
    }
    this.#grew(guest.rows.size - sizeBefore)
  }

  #grew(by: Count): void {
    this.#size += by
    while (this.#size > this.#mostRows && this.#guests.size > 1) this.#forgetOldest()
  }

  /** Everything that is remembered, the guest that was silent longest first. */
  *rows(): Generator<SeenRow> {
    // Guests go on while this is read, and each request moves its guest to the end.
    const guests = [...this.#guests.values()]
    for (const { ids, rows } of guests) {
      for (const row of rows.values()) yield { ...ids, ...row }
    }
  }

  /** Takes up what was remembered before. */
  restore(saved: Iterable<SeenRow>, forgottenAt: EpochMilliseconds | undefined): void {
    if (forgottenAt !== undefined) this.#forgot(forgottenAt)
    for (const { instanceId, projectId, networkId, scope, ...row } of saved) {
      const guest = this.#guestOf({ instanceId, projectId, networkId, scope })
      if (guest.rows.size >= mostClients * 8) continue
      const before = guest.rows.size
      guest.rows.set(rowKey(row.client, row.documents), { ...row })
      this.#grew(guest.rows.size - before)
    }
  }

  #guestOf(ids: Guest['ids']): Guest {
    const key = `${ids.instanceId} ${ids.scope} ${ids.networkId}`
    let guest = this.#guests.get(key)
    if (guest === undefined) {
      guest = { ids, rows: new Map() }
      if (this.#guests.size >= this.#mostGuests) this.#forgetOldest()
    } else {
      this.#guests.delete(key)
    }
    this.#guests.set(key, guest)
    return guest
  }

  #forgetOldest(): void {
    for (const [key, { rows }] of this.#guests) {
      this.#guests.delete(key)
      this.#size -= rows.size
      for (const { lastAt } of rows.values()) this.#forgot(lastAt)
      return
    }
  }

  #forgot(at: EpochMilliseconds): void {
    this.#forgottenAt = Math.max(this.#forgottenAt ?? 0, at)
  }
}

function rowKey(client: string, documents: DocumentClass): string {
  return `${documents} ${client}`
}

function rowOf(
  { rows }: Guest,
  agent: string,
  documents: DocumentClass,
  now: EpochMilliseconds,
): Row {
  const name = agent === '' ? '-' : agent.slice(0, longestClient)
  const known = rows.get(rowKey(name, documents))
  if (known !== undefined) return known
  const clients = new Set([...rows.values()].map((row) => row.client))
  const isFull = clients.size >= mostClients && !clients.has(name)
  const client = isFull ? otherClients : keptText(name, longestClient)
  const key = rowKey(client, documents)
  const row = rows.get(key) ?? {
    client,
    documents,
    requests: 0,
    firstAt: now,
    lastAt: now,
    lastTarget: '',
    findings: {},
    unlooked: {},
  }
  rows.set(key, row)
  return row
}
