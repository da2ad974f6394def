/** Which guests are there, and who shares an address with whom? */
import { isMapping } from '../../lib/runtime/mapping.ts'
import { AdminUnreachableError, requestAdminJson } from '../../lib/http/admin-client.ts'
import { mappings, textOf, texts } from '../../lib/operator/answer-fields.ts'
import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { Host } from './host.ts'

/** One address of one guest in one scope. Empty texts stand for what the agent left out. */
export interface Guest {
  /** `router/ID` or `network/ID`. */
  readonly scope: string
  readonly networkId: string
  readonly address: string
  readonly macAddress: string
  /** Whose metadata it gets; empty where it is refused. */
  readonly instanceId: string
  /** Why it is refused. */
  readonly reason: string
}

/** Guests with one address. */
export interface AddressGroup {
  readonly address: string
  readonly guests: readonly Guest[]
}

/** Who is there, as the agent's port directory has it. */
export interface GuestList {
  readonly guests: readonly Guest[]
  /** The most shared address first. */
  readonly byAddress: readonly AddressGroup[]
  /** Why there is no list, or not a whole one. */
  readonly note: string
}

/** An audit of a busy cloud takes seconds, and so long it may be old. */
const longest: Milliseconds = 30_000
const limits = { timeLimit: 60_000, bodyLimit: 64 * 1024 * 1024 } as const

/** A view waits no longer for a list that is being made. */
const patience: Milliseconds = 1_500

/** Keeps the list of guests, and has it made anew when a view is made and it is old. */
export class Guests {
  readonly #host: Host
  readonly #clock: Clock
  #queried: { readonly at: MonotonicMilliseconds; readonly list: Promise<GuestList> } | undefined
  #known = guestList([])

  constructor(host: Host, clock: Clock) {
    this.#host = host
    this.#clock = clock
  }

  /** The list; the one before while a new one takes long. */
  async list(): Promise<GuestList> {
    const now = this.#clock.now()
    if (this.#queried === undefined || now - this.#queried.at >= longest) {
      this.#queried = { at: now, list: this.#query() }
    }
    const note = 'A new list of guests is being made. It appears by itself.'
    const late = this.#clock.sleep(patience).then(() => ({ ...this.#known, note }))
    return await Promise.race([this.#queried.list, late])
  }

  async #query(): Promise<GuestList> {
    const { proxy } = await this.#host.look()
    const served = mappings(proxy.status['namespaces']).map(({ scope }) => textOf(scope))
    const json = { answers: true, ...(proxy.health.reachable && { scopes: [...new Set(served)] }) }
    try {
      const { value } = await requestAdminJson(this.#host.addresses.agent, '/audit', {
        ...limits,
        json,
      })
      const report = isMapping(value) ? value : {}
      const notes = texts(report['notes'])
      // Without answers it is a refusal, such as that another audit is under way.
      const guests = Array.isArray(report['answers'])
        ? mappings(report['answers']).map(readGuest)
        : this.#known.guests
      this.#known = guestList(
        guests,
        [textOf(report['message']), ...notes].filter(Boolean).join('. '),
      )
      return this.#known
    } catch (thrown) {
      if (thrown instanceof AdminUnreachableError) return { ...this.#known, note: thrown.message }
      throw thrown
    }
  }
}

/** Groups guests by address. */
export function guestList(guests: readonly Guest[], note = ''): GuestList {
  const groups = new Map<string, Guest[]>()
  for (const guest of guests) {
    const known = groups.get(guest.address)
    if (known === undefined) groups.set(guest.address, [guest])
    else known.push(guest)
  }
  const byAddress = Array.from(groups, ([address, some]) => ({ address, guests: some }))
  return {
    guests,
    byAddress: byAddress.toSorted(
      (one, other) =>
        other.guests.length - one.guests.length ||
        one.address.localeCompare(other.address, 'en', { numeric: true }),
    ),
    note,
  }
}

/** Those of whom one name contains a text. */
export function findGuests(guests: readonly Guest[], text: string): readonly Guest[] {
  const wanted = text.toLowerCase()
  return guests.filter((guest) =>
    Object.values(guest).some((name: string) => name.includes(wanted)),
  )
}

function readGuest(answer: Readonly<Record<string, unknown>>): Guest {
  return {
    scope: textOf(answer['scope']),
    networkId: textOf(answer['networkId']),
    address: textOf(answer['address']),
    macAddress: textOf(answer['macAddress']),
    instanceId: textOf(answer['instanceId']),
    reason: textOf(answer['reason']),
  }
}
