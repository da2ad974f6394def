/** Is there an order of a few events in which something goes wrong? Tries all of them. */

/** A system small enough for that, and the code under test within it. It is made anew for each order, so nothing of it may be random. */
export interface OrderedWorld {
  /** What can happen next. A name means the same thing in every run. */
  steps(): readonly string[]
  /** Lets it happen, with everything that follows from it by itself. */
  take(step: string): Promise<void> | void
  /**
   * Equal for two states only if whatever can follow is equal too. Of code that cannot be looked into, the list of what it was told
   * will do: orders that told it the same need not be tried twice.
   */
  state(): string
  /** What is wrong in this state, for whoever reads the failed test; `undefined` when nothing is. */
  wrong(): string | undefined
  end?(): Promise<void> | void
}

export interface EveryOrderOptions {
  /** Steps in one order at most. */
  readonly depth: number
  /** More states than this are an error: a bound that is not reached must not look as if it were. @default 200,000 */
  readonly mostStates?: number
}

/** What came of trying. */
export interface TriedOrders {
  /** Different states that were seen. */
  readonly states: number
  /** Steps that were taken to see them. */
  readonly steps: number
  /** A shortest order that ends in something wrong. */
  readonly wrong?: { readonly order: readonly string[]; readonly what: string }
}

/**
 * Tries every order of steps, short ones first, and stops at the first that goes wrong. Each is run from the beginning, since code under
 * test cannot be copied.
 * @throws RangeError when there are more states than allowed
 */
export async function everyOrder(
  make: () => OrderedWorld | Promise<OrderedWorld>,
  { depth, mostStates = 200_000 }: EveryOrderOptions,
): Promise<TriedOrders> {
  const seen = new Set<string>()
  let steps = 0
  let orders: readonly (readonly string[])[] = [[]]
  for (let length = 0; length <= depth; length += 1) {
    const longer: (readonly string[])[] = []
    for (const order of orders) {
      const world = await make()
      try {
        for (const step of order) await world.take(step)
        steps += order.length
        const what = world.wrong()
        if (what !== undefined) return { states: seen.size, steps, wrong: { order, what } }
        const state = world.state()
        if (seen.has(state)) continue
        seen.add(state)
        if (seen.size > mostStates) throw new RangeError(`More than ${mostStates} states`)
        if (length < depth) longer.push(...world.steps().map((step) => [...order, step]))
      } finally {
        await world.end?.()
      }
    }
    orders = longer
  }
  return { states: seen.size, steps }
}

/** What a test says of an order that went wrong. */
export function shownOrder({ wrong }: TriedOrders): string {
  return wrong === undefined ? 'no order goes wrong' : `${wrong.what}\n${wrong.order.join('\n')}`
}
