import t from 'tap'
import { interceptionRuleset, ruleCountOf } from '../../../proxy/interception/ruleset.ts'

const both = { interface: '*', tcpPort: 9697, families: ['ip', 'ip6'] } as const

t.test(
  'interceptionRuleset() replaces our table, whatever its state, in one transaction',
  async (t) => {
    const text = interceptionRuleset(both)
    t.ok(
      text.startsWith('add table inet overlapd\ndelete table inet overlapd\ntable inet overlapd {'),
    )
    t.match(text, '    ip daddr 169.254.169.254 tcp dport 80 counter redirect to :9697\n')
    t.match(text, '    ip6 daddr fe80::a9fe:a9fe tcp dport 80 counter redirect to :9697\n')
  },
)

t.test('interceptionRuleset() names only the family that the kernel has', async (t) => {
  t.notMatch(interceptionRuleset({ ...both, families: ['ip'] }), 'ip6')
})

t.test('interceptionRuleset() redirects from the interfaces that are named', async (t) => {
  const text = interceptionRuleset({ ...both, interface: 'qr-*' })
  t.match(text, 'iifname != "qr-*" return')
  t.notMatch(text, 'qg-')
})

t.test(
  'interceptionRuleset() drops on our port only, after what was redirected passed',
  async (t) => {
    const guard = /chain guard_listener {([^}]*)}/.exec(interceptionRuleset(both))?.[1] ?? ''
    const rules = guard.trim().split(/\n\s*/).slice(1)
    t.same(rules, [
      'tcp dport 9697 ct status dnat ct original ip daddr 169.254.169.254 accept',
      'tcp dport 9697 ct status dnat ct original ip6 daddr fe80::a9fe:a9fe accept',
      'tcp dport 9697 ct status snat ct reply ip daddr 169.254.169.254 accept',
      'tcp dport 9697 ct status snat ct reply ip6 daddr fe80::a9fe:a9fe accept',
      'tcp dport 9697 counter drop',
    ])
  },
)

t.test(
  'interceptionRuleset() redirects what connects from inside for the canary alone',
  async (t) => {
    t.notMatch(interceptionRuleset(both), 'hook output')
    const [, chain = ''] =
      /chain redirect_canary {([^}]*)}/.exec(interceptionRuleset({ ...both, canary: true })) ?? []
    t.match(chain, 'oifname "lo" ip daddr 169.254.169.254 tcp dport 80 redirect to :9697')
  },
)

t.test('ruleCountOf() counts rules, and neither hooks nor commands', async (t) => {
  // 1 interface, 2 redirected, 2 sent, 4 accepted, 1 dropped, 2 kept inside.
  t.equal(ruleCountOf(interceptionRuleset({ ...both, interface: 'qr-*' })), 12)
  t.equal(ruleCountOf(interceptionRuleset({ ...both, interface: 'qr-*', families: ['ip'] })), 7)
  t.equal(ruleCountOf(interceptionRuleset({ ...both, interface: 'qr-*', canary: true })), 13)
})
