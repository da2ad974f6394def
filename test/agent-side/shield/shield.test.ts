import t from 'tap'
import type { GuestFacts } from '../../../agent-side/peers/guest-facts.ts'
import type { Basis } from '../../../agent-side/resolve/resolution.ts'
import { GuestShield, type ShieldOutcome } from '../../../agent-side/shield/shield.ts'
import type { Shield, ShieldAction } from '../../../lib/shield/shields.ts'
import { usualRules, type PolicyRule } from '../../../agent-side/shield/policy.ts'
import { documentClasses, type DocumentClass } from '../../../lib/shield/document-class.ts'
import { NetworkTags } from '../../../agent-side/shield/network-tags.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { Seals } from '../../../agent-side/shield/seals.ts'
import { TokenKeys } from '../../../agent-side/shield/tokens.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const clock = new FakeClock()
const keys = new TokenKeys([new Secret('a key of these tests, long enough')])
const identity = {
  instanceId: instanceId(1),
  projectId: projectId(1),
  portId: portId(1),
  networkId: networkId(1),
  sourceIp: ip('10.0.0.10'),
}
const key = {
  scope: { kind: 'network', networkId: networkId(1) },
  sourceIp: ip('10.0.0.10'),
  sourceMac: mac(1),
} as const
const plain: GuestFacts = {
  isOfOurProxy: true,
  arrival: { hopLimit: 64, sourcePort: 51_234 },
  host: '169.254.169.254',
  isForwarded: false,
  token: undefined,
  tokenTtl: undefined,
  agent: 'curl',
}
const behindHaproxy: Partial<GuestFacts> = { isOfOurProxy: false, arrival: undefined }
const container: Partial<GuestFacts> = { arrival: { hopLimit: 63, sourcePort: 51_234 } }

function everywhere(action: ShieldAction): Record<DocumentClass, ShieldAction> {
  return Object.fromEntries(documentClasses.map((one) => [one, action])) as Record<
    DocumentClass,
    ShieldAction
  >
}

interface Case {
  readonly facts?: Partial<GuestFacts>
  readonly target?: string
  readonly method?: string
  readonly basis?: Basis
  readonly sourceMac?: ReturnType<typeof mac>
}

/** What a policy by default makes of a request. */
function outcomeUnder(
  actions: Partial<Record<Shield, ShieldAction | Partial<Record<DocumentClass, ShieldAction>>>>,
  { facts, target = '/openstack/latest/user_data', method = 'GET', basis = 'mac', ...more }: Case,
  rest: Partial<PolicyRule> = {},
): ShieldOutcome {
  const shield = shieldUnder(actions, rest)
  return shield.outcome({
    method,
    target,
    facts: { ...plain, ...facts },
    key: { ...key, ...more },
    resolution: {
      kind: 'found',
      identity,
      basis,
      asOf: 0,
      freshness: 'usual' as never,
      evidence: { networkIds: [], byAddress: [], byMac: [], why: '' },
    },
  })
}

function shieldUnder(
  actions: Parameters<typeof outcomeUnder>[0],
  rest: Partial<PolicyRule> = {},
): GuestShield {
  const byShield = Object.fromEntries(
    Object.entries(actions).map(([shield, action]) => [
      shield,
      typeof action === 'string' ? everywhere(action) : action,
    ]),
  )
  const byDefault = { name: 'default', actions: byShield, ...rest }
  const nothing = (): void => undefined
  return new GuestShield({
    clock,
    keys: () => keys,
    rules: () => ({ ...usualRules, byDefault, hostNames: new Set(['metadata.example']) }),
    tags: new NetworkTags({ logger: silentLogger, onTag: nothing }),
    seals: new Seals({ clock, onChange: nothing }),
    observer: { judged: nothing, tokenMade: nothing, tokenLooked: nothing },
  })
}

function wordOf(outcome: ShieldOutcome): string {
  return outcome.kind === 'refuse' ? outcome.reason : outcome.kind
}

const token = keys.make({ identity, key }, clock.wallTime(), 60)
const put = { method: 'PUT', target: '/latest/api/token' }

t.test(
  'each shield that is enforced refuses what does not pass it, and nothing else',
  async (t) => {
    const cases: readonly (readonly [Shield, string, Case, string])[] = [
      ['token', 'no token', {}, 'token_missing'],
      ['token', 'an empty token', { facts: { token: '' } }, 'token_invalid'],
      ['token', 'a made-up token', { facts: { token: 'A'.repeat(56) } }, 'token_invalid'],
      ['token', 'its token', { facts: { token } }, 'forward'],
      ['token', 'a token of another MAC', { facts: { token }, sourceMac: mac(2) }, 'token_invalid'],
      ['token', 'its token behind haproxy', { facts: { ...behindHaproxy, token } }, 'forward'],
      ['forwarded', 'itself', {}, 'forward'],
      [
        'forwarded',
        'itself on Windows',
        { facts: { arrival: { hopLimit: 128, sourcePort: 1 } } },
        'forward',
      ],
      ['forwarded', 'a container behind it', { facts: container }, 'forwarded_in_guest'],
      [
        'forwarded',
        'two routers',
        { facts: { arrival: { hopLimit: 126, sourcePort: 1 } } },
        'forwarded_in_guest',
      ],
      ['forwarded', 'an own word for it', { facts: { isForwarded: true } }, 'forwarded_in_guest'],
      [
        'forwarded',
        'an own word behind haproxy',
        { facts: { ...behindHaproxy, isForwarded: true } },
        'forwarded_in_guest',
      ],
      ['forwarded', 'nothing known', { facts: { arrival: undefined } }, 'origin_unknown'],
      ['forwarded', 'haproxy, which cannot know', { facts: behindHaproxy }, 'forward'],
      ['forwarded', 'a guest behind another VM', { facts: container, basis: 'routed' }, 'forward'],
      ['host', 'the service', {}, 'forward'],
      ['host', 'no Host', { facts: { host: '' } }, 'forward'],
      ['host', 'a name of the operator', { facts: { host: 'Metadata.Example:80' } }, 'forward'],
      ['host', 'another name', { facts: { host: 'evil.example' } }, 'host_not_metadata'],
      ['host', 'nothing known', { facts: { host: undefined } }, 'origin_unknown'],
      ['low_port', 'a high port', {}, 'source_port_high'],
      [
        'low_port',
        'a low port',
        { facts: { arrival: { hopLimit: 64, sourcePort: 1_023 } } },
        'forward',
      ],
      [
        'low_port',
        'no port known',
        { facts: { arrival: { hopLimit: 64, sourcePort: 0 } } },
        'origin_unknown',
      ],
      ['low_port', 'haproxy, which cannot know', { facts: behindHaproxy }, 'forward'],
    ]
    for (const [shield, what, request, expected] of cases) {
      t.equal(
        wordOf(outcomeUnder({ [shield]: 'enforce' }, request)),
        expected,
        `${shield}: ${what}`,
      )
      const observed = outcomeUnder({ [shield]: 'observe' }, request)
      t.equal(observed.kind, 'forward', `${shield} observed: ${what}`)
      const reasons = observed.findings.filter((one) => one.shield === shield)
      t.strictSame(
        reasons.map(({ reason }) => reason),
        expected === 'forward' ? [] : [expected],
      )
      const off = outcomeUnder({ [shield]: 'off' }, request)
      t.strictSame(
        off.findings.filter((one) => one.shield === shield),
        [],
        `${shield} off: ${what}`,
      )
    }
  },
)

t.test('the strictest class that a target may reach counts', async (t) => {
  const policy = { token: { user_data: 'enforce', password: 'off' } } as const
  const target = '/openstack/latest/password/../user_data'
  t.equal(wordOf(outcomeUnder(policy, { target })), 'token_missing')
  t.equal(wordOf(outcomeUnder(policy, { target: '/openstack/latest/password' })), 'forward')
})

t.test('forwarded: enforce limits how far answers go, whatever the request claims', async (t) => {
  const hopsUnder = (action: ShieldAction, request: Case, hopLimit?: number): unknown =>
    outcomeUnder({ forwarded: action }, request, hopLimit === undefined ? {} : { hopLimit })
      .hopLimit
  t.equal(hopsUnder('enforce', {}), 1)
  t.equal(hopsUnder('enforce', {}, 2), 2)
  t.equal(hopsUnder('observe', {}), undefined)
  t.equal(hopsUnder('enforce', { facts: behindHaproxy }), undefined, 'haproxy cannot')
  t.equal(hopsUnder('enforce', { facts: container, basis: 'routed' }), 2, 'as far as it is away')
  t.equal(
    wordOf(outcomeUnder({ forwarded: 'enforce' }, { facts: container }, { hopLimit: 2 })),
    'forward',
  )
})

t.test('PUT gives a token that is valid for its guest, with a hop limit', async (t) => {
  const outcome = outcomeUnder({}, { ...put, facts: { tokenTtl: '60' } })
  if (outcome.kind !== 'token') throw new Error(`not ${outcome.kind}`)
  t.match(outcome, { life: 60, hopLimit: 1 })
  t.equal(
    wordOf(outcomeUnder({ token: 'enforce' }, { facts: { token: outcome.token } })),
    'forward',
  )
  t.equal(outcomeUnder({}, { ...put, facts: { tokenTtl: '60' } }, { hopLimit: 2 }).hopLimit, 2)
})

t.test('PUT is refused as EC2 refuses it', async (t) => {
  const cases: readonly (readonly [string, Case, string])[] = [
    ['GET', { method: 'GET' }, 'method_not_supported'],
    ['POST', { method: 'POST' }, 'method_not_supported'],
    ['no life', {}, 'token_life_invalid'],
    ['a life of 0', { facts: { tokenTtl: '0' } }, 'token_life_invalid'],
    ['too long a life', { facts: { tokenTtl: '21601' } }, 'token_life_invalid'],
    ['no number', { facts: { tokenTtl: 'abc' } }, 'token_life_invalid'],
    ['two numbers', { facts: { tokenTtl: '60, 60' } }, 'token_life_invalid'],
    ['X-Forwarded-For', { facts: { tokenTtl: '60', isForwarded: true } }, 'token_forwarded'],
    ['a container', { facts: { tokenTtl: '60', ...container } }, 'forwarded_in_guest'],
  ]
  for (const [what, request, reason] of cases) {
    t.equal(wordOf(outcomeUnder({ token: 'enforce' }, { ...put, ...request })), reason, what)
    t.equal(wordOf(outcomeUnder({}, { ...put, ...request })), reason, `${what}, observed`)
  }
})

t.test('PUT is refused where a shield leaves no document open', async (t) => {
  const rebound = { ...put, facts: { tokenTtl: '60', host: 'evil.example' } }
  t.equal(wordOf(outcomeUnder({ host: 'enforce' }, rebound)), 'host_not_metadata')
  t.equal(wordOf(outcomeUnder({ host: { user_data: 'enforce' } }, rebound)), 'token')
})

t.test('where tokens are off everywhere, their path is compute’s', async (t) => {
  t.equal(wordOf(outcomeUnder({ token: 'off' }, { ...put, facts: { tokenTtl: '60' } })), 'forward')
  t.equal(
    wordOf(outcomeUnder({ token: { identity: 'off' } }, { ...put, facts: { tokenTtl: '60' } })),
    'token',
  )
})

t.test('mayLease() is for guests for whom nothing is enforced', async (t) => {
  const may = (...policy: Parameters<typeof shieldUnder>): boolean =>
    shieldUnder(...policy).mayLease(identity, key.scope)
  t.equal(may({}), true)
  t.equal(may({ token: 'off' }), true)
  t.equal(may({ token: { password: 'enforce' } }), false)
  t.equal(may({ low_port: 'enforce' }), false)
  t.equal(may({}, { seal: { after: 1, from: 'fetch' } }), false)
})
