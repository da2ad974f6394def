import type { Count } from '../../../lib/runtime/clock.ts'
import { OvsdbError } from '../../../lib/ovsdb/ovsdb-error.ts'
import { SlotMultimap } from './slot-multimap.ts'

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Rows by the UUID that OVSDB gives them. The UUIDs are held as 16 bytes: as text they would be a
 * seventh of all memory, and only updates look up by them.
 */
export class RowSlots<Value> {
  readonly #values: (Value | undefined)[] = []
  readonly #free: number[] = []
  readonly #byUuid = new SlotMultimap()
  /** Four words a slot. */
  #uuids = new Uint32Array(256)
  readonly #wanted = new Uint32Array(4)
  readonly #candidates: number[] = []

  get size(): Count {
    return this.#byUuid.size
  }

  slotOf(uuid: string): number | undefined {
    this.#parse(uuid)
    this.#candidates.length = 0
    this.#byUuid.collect(this.#wanted[0] ?? 0, this.#candidates)
    return this.#candidates.find((slot) =>
      this.#wanted.every((word, place) => this.#uuids[slot * 4 + place] === word),
    )
  }

  at(slot: number): Value | undefined {
    return this.#values[slot]
  }

  replace(slot: number, value: Value): void {
    this.#values[slot] = value
  }

  /** Adds a row whose UUID is not there yet. @returns its slot */
  add(uuid: string, value: Value): number {
    this.#parse(uuid)
    const slot = this.#free.pop() ?? this.#values.length
    this.#values[slot] = value
    if (slot * 4 >= this.#uuids.length) {
      const grown = new Uint32Array(Math.ceil((this.#uuids.length * 1.5) / 4) * 4)
      grown.set(this.#uuids)
      this.#uuids = grown
    }
    this.#uuids.set(this.#wanted, slot * 4)
    this.#byUuid.add(this.#wanted[0] ?? 0, slot)
    return slot
  }

  remove(slot: number): void {
    this.#byUuid.remove(this.#uuids[slot * 4] ?? 0, slot)
    this.#values[slot] = undefined
    this.#free.push(slot)
  }

  *values(): Generator<Value, void, void> {
    for (const value of this.#values) if (value !== undefined) yield value
  }

  #parse(uuid: string): void {
    if (!uuidText.test(uuid)) throw new OvsdbError('protocol', 'The UUID of a row is no UUID')
    this.#wanted[0] = Number.parseInt(uuid.slice(0, 8), 16)
    this.#wanted[1] = Number.parseInt(uuid.slice(9, 13) + uuid.slice(14, 18), 16)
    this.#wanted[2] = Number.parseInt(uuid.slice(19, 23) + uuid.slice(24, 28), 16)
    this.#wanted[3] = Number.parseInt(uuid.slice(28, 36), 16)
  }
}
