import t from 'tap'
import { TenantNames, withoutSecrets } from '../../../deploy/bugreport/scrub.ts'

t.test('withoutSecrets() takes a secret out in each form, the longer one first', async (t) => {
  const secrets = ['s3cr3t', 's3cr3t-and-more', 'ab']
  t.equal(
    withoutSecrets('s3cr3t-and-more s3cr3t ab', secrets),
    '[redacted] [redacted] ab',
    'what is too short stays, or every word would break',
  )
  const base64 = Buffer.from('s3cr3t').toString('base64')
  t.equal(withoutSecrets(`x ${base64}`, secrets), 'x [redacted]')
  t.equal(withoutSecrets('a%2Fb%2Bc', ['a/b+c']), '[redacted]')
})

t.test('withoutSecrets() takes out what stands before the @ of a URL, known or not', async (t) => {
  t.equal(
    withoutSecrets('rabbit://neutron:pass@192.0.2.1:5672,http://a/b@c', []),
    'rabbit://[redacted]@192.0.2.1:5672,http://a/b@c',
  )
})

t.test('TenantNames gives the same thing the same number everywhere', async (t) => {
  const names = new TenantNames()
  const id = '5b2e1f60-8a3c-4d2a-9c11-0123456789ab'
  t.equal(names.redact(`qrouter-${id} ${id}`), 'qrouter-id-1 id-1')
  t.equal(names.redact('fa:16:3e:00:00:10 10.0.0.10'), 'mac-2 ip-3')
  t.match(names.redact('fdbe2a175df841338554495ce3c501f3'), /^id-\d+$/)
  t.equal(names.redact('10.0.0.10, fe80::f816:3eff:fe00:10'), 'ip-3, ip-5')
  t.equal(names.redact('qr-4d2a7c11-9e'), 'qr-port-6')
  t.equal(
    names.redact('169.254.169.254 127.0.0.1 :: at 14:02:11 T14:02:11.503Z'),
    '169.254.169.254 127.0.0.1 :: at 14:02:11 T14:02:11.503Z',
  )
  t.equal(names.redact('{"target": "/latest/meta-data/x"}'), '{"target": "(left out)"}')
})
