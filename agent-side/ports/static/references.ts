import { createHash } from 'node:crypto'
import type { Problems } from './problems.ts'

/** The things of one kind that a file declares, to be found by id or by name. */
export class References<Id extends string> {
  readonly #ids = new Set<Id>()
  readonly #byName = new Map<string, Id>()
  readonly #sharedNames = new Set<string>()
  readonly #kind: string
  readonly #problems: Problems

  constructor(kind: string, problems: Problems) {
    this.#kind = kind
    this.#problems = problems
  }

  get size(): number {
    return this.#ids.size
  }

  /** Reports an id that is declared twice. @returns whether it is new */
  declare(id: Id, name: string | undefined, keys: readonly (string | number)[]): boolean {
    if (this.#ids.has(id)) {
      this.#problems.add([...keys, 'id'], `the ${this.#kind} "${id}" is declared twice`)
      return false
    }
    this.#ids.add(id)
    if (name !== undefined) {
      if (this.#byName.has(name)) this.#sharedNames.add(name)
      this.#byName.set(name, id)
    }
    return true
  }

  /** An id goes before a name. @returns `undefined` when nothing declared is meant; a name that several have is reported */
  find(reference: string, keys: readonly (string | number)[]): Id | undefined {
    const id = reference as Id
    if (this.#ids.has(id)) return id
    if (!this.#sharedNames.has(reference)) return this.#byName.get(reference)
    this.#problems.add(keys, `several ${this.#kind}s are named "${reference}"; use the id`)
    return undefined
  }

  /** As {@link find}, and reports what is not declared. */
  require(reference: string, keys: readonly (string | number)[]): Id | undefined {
    const found = this.find(reference, keys)
    if (found === undefined && !this.#sharedNames.has(reference)) {
      this.#problems.addReference(
        keys,
        `expected the id or name of a ${this.#kind} of this file, received "${reference}"`,
      )
    }
    return found
  }
}

/** An id for something that was given none: the same UUID for the same words, in every run and on every host. */
export function derivedId(...words: readonly string[]): string {
  const hex = createHash('sha256').update(JSON.stringify(words)).digest('hex')
  // RFC 9562 section 5.8: version 8 is for ids made by a method of one's own.
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
  ]
  return [...parts, hex.slice(20, 32)].join('-')
}
