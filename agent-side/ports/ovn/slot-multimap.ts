import type { Count } from '../../../lib/runtime/clock.ts'

const smallest = 64

/**
 * A hash table from 32-bit hashes to numbered slots of rows that are stored elsewhere, several to a hash. It keeps
 * no keys: the rows have them. With 100,000 ports a `Map` with text keys would cost more than the ports themselves.
 * A hash is only a hint, so the caller compares the row.
 */
export class SlotMultimap {
  /** Pairs of (slot + 1, hash); a slot of 0 is an empty cell. Open addressing with steps of one. */
  #cells = new Int32Array(smallest * 2)
  #capacity = smallest
  #size = 0

  get size(): Count {
    return this.#size
  }

  add(hash: number, slot: number): void {
    if ((this.#size + 1) * 4 > this.#capacity * 3) this.#grow()
    this.#place(hash | 0, slot + 1)
    this.#size += 1
  }

  /** @returns whether the pair was there */
  remove(hash: number, slot: number): boolean {
    const cells = this.#cells
    let cell = this.#home(hash)
    for (;;) {
      const found = cells[cell * 2] ?? 0
      if (found === 0) return false
      if (found === slot + 1 && cells[cell * 2 + 1] === (hash | 0)) break
      cell = this.#after(cell)
    }
    this.#closeGap(cell)
    this.#size -= 1
    return true
  }

  /** Appends the slots of the hash to the list. */
  collect(hash: number, into: number[]): void {
    const cells = this.#cells
    const wanted = hash | 0
    let cell = this.#home(hash)
    for (;;) {
      const found = cells[cell * 2] ?? 0
      if (found === 0) return
      if (cells[cell * 2 + 1] === wanted) into.push(found - 1)
      cell = this.#after(cell)
    }
  }

  #home(hash: number): number {
    return Math.floor(((Math.imul(hash, 0x9e3779b1) >>> 0) / 2 ** 32) * this.#capacity)
  }

  #after(cell: number): number {
    return cell + 1 === this.#capacity ? 0 : cell + 1
  }

  #place(hash: number, stored: number): void {
    let cell = this.#home(hash)
    while (this.#cells[cell * 2] !== 0) cell = this.#after(cell)
    this.#cells[cell * 2] = stored
    this.#cells[cell * 2 + 1] = hash
  }

  /** Moves later cells back, so that no search ends too early at the cell that became free. */
  #closeGap(start: number): void {
    const cells = this.#cells
    let gap = start
    let cell = this.#after(gap)
    while (cells[cell * 2] !== 0) {
      const home = this.#home(cells[cell * 2 + 1] ?? 0)
      const fromHome = (cell - home + this.#capacity) % this.#capacity
      const fromGap = (cell - gap + this.#capacity) % this.#capacity
      if (fromHome >= fromGap) {
        cells.copyWithin(gap * 2, cell * 2, cell * 2 + 2)
        gap = cell
      }
      cell = this.#after(cell)
    }
    cells[gap * 2] = 0
  }

  #grow(): void {
    const old = this.#cells
    // Doubling would be faster and leave half of the memory unused.
    this.#capacity = Math.ceil(this.#capacity * 1.3)
    this.#cells = new Int32Array(this.#capacity * 2)
    for (let at = 0; at < old.length; at += 2) {
      const stored = old[at] ?? 0
      if (stored !== 0) this.#place(old[at + 1] ?? 0, stored)
    }
  }
}

/** FNV-1a over two texts and what distinguishes them. */
export function hashTexts(one: string, other: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < one.length; at += 1) {
    hash = Math.imul(hash ^ one.charCodeAt(at), 0x01000193)
  }
  hash = Math.imul(hash ^ 0xff, 0x01000193)
  for (let at = 0; at < other.length; at += 1) {
    hash = Math.imul(hash ^ other.charCodeAt(at), 0x01000193)
  }
  return hash | 0
}
