import { randomBytes } from 'node:crypto'

/**
 * Makes the ids by which a guest's complaint finds its line in the log: 20 characters, unique in this process and, by the
 * random part, among all others. The counter is scrambled so that one guest's ids do not show how busy the others are.
 */
export class RequestIds {
  #prefix = ''
  #before = 0
  #after = 0
  #count = 0

  next(): string {
    if (this.#count === 0) this.#renew()
    this.#count = (this.#count + 1) >>> 0
    const text = scramble((this.#count ^ this.#before) >>> 0, this.#after).toString(36)
    return this.#prefix + text.padStart(7, '0')
  }

  /** Once at the start, and after four thousand million ids. */
  #renew(): void {
    const random = randomBytes(24)
    this.#prefix = random.readBigUInt64LE(0).toString(36).padStart(13, '0').slice(-12) + '-'
    this.#before = random.readUInt32LE(8)
    this.#after = random.readUInt32LE(12)
  }
}

/** A permutation of the 32-bit numbers: no two counts give one text. */
function scramble(value: number, key: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul((mixed ^ key ^ ((mixed ^ key) >>> 13)) >>> 0, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
