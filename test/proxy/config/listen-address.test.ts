import t from 'tap'
import { listenAddressText, parseListenAddress } from '../../../proxy/config/listen-address.ts'

t.test(
  'parseListenAddress() reads every form and listenAddressText() writes it back',
  async (t) => {
    for (const text of [
      '169.254.169.254:80',
      '0.0.0.0:9697',
      '[::]:9697',
      '[fe80::a9fe:a9fe]:80',
      '[fe80::a9fe:a9fe%tap0]:80',
    ]) {
      const address = parseListenAddress(text)
      t.ok(address, text)
      t.equal(address && listenAddressText(address), text)
    }
  },
)

t.test('parseListenAddress() refuses what is no address with a port', async (t) => {
  for (const text of [
    '::',
    ':80',
    '10.0.0.1',
    '10.0.0.1:0',
    '10.0.0.1:65536',
    '010.0.0.1:80',
    'host:80',
    '[::]',
    80,
  ]) {
    t.equal(parseListenAddress(text), undefined, String(text))
  }
})
