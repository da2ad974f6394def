import t from 'tap'
import { readGuestFacts } from '../../../agent-side/peers/guest-facts.ts'

const ours = { kind: 'overlapd' } as const
const haproxy = { kind: 'neutron', flavour: 'ml2' } as const

t.test(
  'readGuestFacts() of our proxy takes what it reports, and nothing that looks like a guest',
  async (t) => {
    t.strictSame(
      readGuestFacts(ours, [
        ...['Host', '169.254.169.254'],
        ...['User-Agent', 'not a guest'],
        ...['X-Forwarded-For', '10.0.0.10'],
        ...['x-overlapd-arrival', '63 51234'],
        ...['x-overlapd-guest-host', 'evil.example'],
        ...['x-overlapd-guest-forwarded', '1'],
        ...['x-overlapd-guest-agent', 'curl/8'],
        ...['x-aws-ec2-metadata-token', 'AQ'],
        ...['x-aws-ec2-metadata-token-ttl-seconds', '60'],
      ]),
      {
        isOfOurProxy: true,
        arrival: { hopLimit: 63, sourcePort: 51_234 },
        host: 'evil.example',
        isForwarded: true,
        token: 'AQ',
        tokenTtl: '60',
        agent: 'curl/8',
      },
    )
    t.match(readGuestFacts(ours, ['x-overlapd-guest-host', '-']), {
      arrival: undefined,
      host: '',
      isForwarded: false,
      token: undefined,
    })
    t.equal(readGuestFacts(ours, []).host, undefined, 'of an older proxy')
  },
)

t.test('readGuestFacts() behind haproxy takes the guest’s own headers, never ours', async (t) => {
  const facts = readGuestFacts(haproxy, [
    ...['Host', 'evil.example'],
    ...['User-Agent', 'curl/8'],
    ...['X-Aws-Ec2-Metadata-Token', 'AQ'],
    ...['x-overlapd-arrival', '64 80'],
    ...['x-overlapd-guest-host', '169.254.169.254'],
    ...['X-Forwarded-For', '10.0.0.10'],
  ])
  t.match(facts, { arrival: undefined, host: 'evil.example', isForwarded: false, token: 'AQ' })
})

t.test(
  'readGuestFacts() behind haproxy sees a second X-Forwarded-For, which is the guest’s',
  async (t) => {
    const isForwarded = (...fields: string[]): boolean =>
      readGuestFacts(haproxy, [...fields, 'X-Forwarded-For', '10.0.0.10']).isForwarded
    t.equal(isForwarded(), false)
    t.equal(isForwarded('X-Forwarded-For', '10.0.0.9'), true)
    t.equal(isForwarded('Forwarded', 'for=10.0.0.9'), true)
    t.equal(isForwarded('x-real-ip', '10.0.0.9'), true)
    t.equal(isForwarded('via', '1.1 tinyproxy'), true)
  },
)

t.test('readGuestFacts() takes an unreadable arrival for none', async (t) => {
  for (const text of ['', '64', '256 80', '64 65536', '64 80, 64 80', 'x 80', '-1 80', '64  80']) {
    t.equal(readGuestFacts(ours, ['x-overlapd-arrival', text]).arrival, undefined, text)
  }
})
