import type { AttackClass } from './attack-class.ts'
import { runIdentityOracle } from './identity-oracle.ts'

/** Requests decided between two looks at the clock. */
const round = 2_000

/** Forged addresses and MACs through every interface of every router, straight at the resolver. */
export const identity: AttackClass = {
  name: 'identity',
  what: 'guests of random clouds with shared networks claim to be others, through every interface',
  needsRoot: false,
  // The resolver decides before anything is forwarded.
  forwarding: ['agent'],
  async run({ random, report, begin, isOver }) {
    begin()
    let found = 0
    let declaredOpen = 0
    do {
      const result = await runIdentityOracle(random.below(2 ** 31), round)
      report.tried(result.decisions)
      found += result.found
      declaredOpen += result.declaredOpen
      for (const what of result.examples) {
        report.fault(what.startsWith('wrong') ? 'wrong' : 'othersFailed', what)
      }
    } while (!isOver())
    report.measured('found', found)
    report.measured('declared open', declaredOpen)
  },
}
