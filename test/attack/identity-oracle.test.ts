/** The short form: `test/attack` makes a million decisions. */
import t from 'tap'
import { runIdentityOracle } from './identity-oracle.ts'

const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 20_261_130)

t.test(
  `no guest is answered as another through any interface of any router (seed ${seed})`,
  async (t) => {
    const { wrong, honestRefused, examples, ...figures } = await runIdentityOracle(seed, 20_000)
    t.strictSame(examples, [])
    t.equal(wrong, 0)
    t.equal(honestRefused, 0)
    t.ok(figures.found > 1_000, JSON.stringify(figures))
    t.ok(figures.declaredOpen > 0, 'the generator reaches what is declared open')
  },
)
