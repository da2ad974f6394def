import t from 'tap'
import { parseIngressPort } from '../../../lib/identity/ingress-port.ts'

t.test(
  'parseIngressPort takes what stands in an interface name, and the word for none',
  async (t) => {
    for (const text of ['4d2a7c11-9e', '00000000-00', 'other'])
      t.equal(parseIngressPort(text), text)
  },
)

t.test('parseIngressPort takes nothing else', async (t) => {
  for (const text of [
    '',
    'Other',
    'qr-4d2a7c11-9e',
    '4D2A7C11-9E',
    '4d2a7c11-9',
    '4d2a7c11-9ef',
    '4d2a7c11-9e ',
    '4d2a7c11-9e,other',
    undefined,
    ['other'],
  ]) {
    t.equal(parseIngressPort(text), undefined, JSON.stringify(text))
  }
})
