import t from 'tap'
import { sentFacts } from '../../../../proxy/worker/guest/sent-facts.ts'

t.test('sentFacts() gives the agent what it needs of the headers, and nothing else', async (t) => {
  const facts = sentFacts([
    ...['HOST', 'evil.example'],
    ...['user-AGENT', 'curl/8'],
    ...['X-Forwarded-For', '10.0.0.1'],
    ...['X-Aws-Ec2-Metadata-Token', 'AQ'],
    ...['X-aws-ec2-metadata-token-ttl-seconds', '60'],
    ...['X-Instance-ID', 'another'],
    ...['Accept', '*/*'],
  ])
  t.strictSame(facts, {
    headers: [
      ...['x-overlapd-guest-host', 'evil.example'],
      ...['x-overlapd-guest-forwarded', '1'],
      ...['x-overlapd-guest-agent', 'curl/8'],
      ...['x-aws-ec2-metadata-token', 'AQ'],
      ...['x-aws-ec2-metadata-token-ttl-seconds', '60'],
    ],
    isPlain: false,
    agent: 'curl/8',
  })
})

t.test('sentFacts() knows a plain request', async (t) => {
  const host = ['Host', '169.254.169.254']
  t.equal(sentFacts(host).isPlain, true)
  t.strictSame(sentFacts([]), {
    headers: ['x-overlapd-guest-host', '-'],
    isPlain: true,
    agent: '',
  })
  for (const more of [
    ['Forwarded', 'for=10.0.0.1'],
    ['X-Forwarded-Host', 'evil.example'],
    ['x_forwarded_for', '10.0.0.1'],
    ['X-Real-IP', '10.0.0.1'],
    ['VIA', '1.1 tinyproxy'],
    ['x-aws-ec2-metadata-token', ''],
  ]) {
    t.equal(sentFacts([...host, ...more]).isPlain, false, String(more[0]))
  }
  t.equal(sentFacts(['Host', 'evil.example']).isPlain, false)
  t.equal(sentFacts([...host, 'Viable', '1']).isPlain, true)
})

t.test('sentFacts() joins what is repeated, so that it is no token and no number', async (t) => {
  const facts = sentFacts([
    ...['x-aws-ec2-metadata-token-ttl-seconds', '60'],
    ...['X-AWS-EC2-Metadata-Token-TTL-Seconds', '60'],
    ...['Host', '169.254.169.254'],
    ...['Host', 'evil.example'],
  ])
  t.strictSame(facts, {
    headers: [
      ...['x-overlapd-guest-host', '169.254.169.254, evil.example'],
      ...['x-aws-ec2-metadata-token-ttl-seconds', '60, 60'],
    ],
    isPlain: false,
    agent: '',
  })
})

t.test(
  'sentFacts() sends what every reader of headers can read, and no more than so much',
  async (t) => {
    const { headers } = sentFacts([
      ...['Host', `\xe9${'h'.repeat(2_000)}`],
      ...['User-Agent', `\t${'u'.repeat(2_000)}`],
      ...['x-aws-ec2-metadata-token', 't'.repeat(2_000)],
    ])
    const values = headers.filter((_, index) => index % 2 === 1)
    t.ok(values.every((value) => /^[\x20-\x7e]{1,260}$/.test(value)))
    t.equal(values[0]?.[0], '?')
  },
)
