import t from 'tap'
import { parseTokenLife, TokenKeys, type TokenHolder } from '../../../agent-side/shield/tokens.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { instanceId, mac, networkId, portId, routerId } from '../../conformance/topology.ts'
import { SeededRandom } from '../../support/random.ts'

const first = new Secret('first key of the tests, long enough')
const second = new Secret('second key of the tests, long enough')
const keys = new TokenKeys([first])
const now = Date.UTC(2026, 0, 1)

function holder(port: number, macNumber: number, network: number, isRouter = false): TokenHolder {
  return {
    identity: { portId: portId(port), instanceId: instanceId(port) },
    key: {
      scope: isRouter
        ? { kind: 'router', routerId: routerId(network) }
        : { kind: 'network', networkId: networkId(network) },
      sourceMac: mac(macNumber),
    },
  }
}

t.test('a token is valid for its holder until it expires', async (t) => {
  const token = keys.make(holder(1, 1, 1), now, 60)
  t.match(token, /^[\w-]{56}$/)
  t.equal(keys.verify(token, holder(1, 1, 1), now), 'valid')
  t.equal(keys.verify(token, holder(1, 1, 1), now + 59_999), 'valid')
  t.equal(keys.verify(token, holder(1, 1, 1), now + 60_000), 'expired')
  t.equal(keys.verify(keys.make(holder(1, 1, 1), now, 21_600), holder(1, 1, 1), now), 'valid')
})

t.test(
  'a token is worth nothing after the clock was set back by more than the agents may differ',
  async (t) => {
    const token = keys.make(holder(1, 1, 1), now, 21_600)
    t.equal(keys.verify(token, holder(1, 1, 1), now - 300_000), 'valid')
    t.equal(keys.verify(token, holder(1, 1, 1), now - 301_000), 'expired')
  },
)

t.test('a token without a MAC is good without one alone', async (t) => {
  const { identity, key } = holder(1, 1, 1)
  const unknown = { identity, key: { scope: key.scope } }
  const token = keys.make(unknown, now, 60)
  t.equal(keys.verify(token, unknown, now), 'valid')
  t.equal(keys.verify(token, { identity, key }, now), 'foreign')
})

t.test('keys rotate without a gap', async (t) => {
  const both = new TokenKeys([first, second])
  const rotated = new TokenKeys([second, first])
  const after = new TokenKeys([second])
  const old = both.make(holder(1, 1, 1), now, 60)
  const young = rotated.make(holder(1, 1, 1), now, 60)
  for (const one of [both, rotated]) {
    t.equal(one.verify(old, holder(1, 1, 1), now), 'valid')
    t.equal(one.verify(young, holder(1, 1, 1), now), 'valid')
  }
  t.equal(after.verify(old, holder(1, 1, 1), now), 'unknown_key')
  t.equal(keys.verify(young, holder(1, 1, 1), now), 'unknown_key')
})

t.test('what is no token is malformed', async (t) => {
  const token = keys.make(holder(1, 1, 1), now, 60)
  for (const text of [
    '',
    'AQAAA',
    token.slice(1),
    token.slice(0, -1),
    `${token}A`,
    `${token}==`,
    `${token}, ${token}`,
    token.replace(/^./, 'B'),
    '+'.repeat(56),
    'x'.repeat(100_000),
  ]) {
    t.equal(keys.verify(text, holder(1, 1, 1), now), 'malformed', text.slice(0, 60))
  }
})

t.test('no changed bit and no other holder passes, in 100,000 cases', async (t) => {
  const seed = 20_261_130
  t.comment(`seed ${seed}`)
  const random = new SeededRandom(seed)
  const number = (): number => 1 + random.below(200)
  const accepted: string[] = []
  let foreign = 0
  while (foreign < 100_000) {
    const [port, macNumber, network] = [number(), number(), number()] as const
    const isRouter = random.chance(50)
    const token = keys.make(holder(port, macNumber, network, isRouter), now, 21_600)
    for (let tries = 0; tries < 10; tries += 1) {
      const other = [
        random.chance(50) ? port : number(),
        random.chance(50) ? macNumber : number(),
        random.chance(50) ? network : number(),
        random.chance(80) ? isRouter : !isRouter,
      ] as const
      const isSame =
        other[0] === port && other[1] === macNumber && other[2] === network && other[3] === isRouter
      const text = isSame ? flipped(token, random) : token
      foreign += 1
      if (keys.verify(text, holder(...other), now) === 'valid')
        accepted.push(`${text} ${other.join()}`)
    }
  }
  t.strictSame(accepted, [])
})

/** Another bit of the 42 bytes. */
function flipped(token: string, random: SeededRandom): string {
  const bytes = Buffer.from(token, 'base64url')
  bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
  return bytes.toString('base64url')
}

t.test('parseTokenLife() takes whole numbers from 1 to 21600', async (t) => {
  t.equal(parseTokenLife('1'), 1)
  t.equal(parseTokenLife('21600'), 21_600)
  for (const text of [
    undefined,
    '',
    '0',
    '21601',
    'abc',
    '60, 60',
    '1e3',
    '-1',
    '60.0',
    ' 60',
    '0x10',
  ]) {
    t.equal(parseTokenLife(text), undefined, text ?? 'nothing')
  }
})
