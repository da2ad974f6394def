import t from 'tap'
import {
  hostText,
  parseHostPort,
  parseTcpAddress,
  tcpAddressText,
} from '../../../lib/identity/tcp-address.ts'

t.test('parseTcpAddress() reads every form and tcpAddressText() writes it back', async (t) => {
  for (const text of [
    '169.254.169.254:80',
    '0.0.0.0:0',
    '[2001:db8::1]:1',
    '0.0.0.0:9697',
    '[::]:9697',
    '[fe80::a9fe:a9fe]:80',
    '[fe80::a9fe:a9fe%tap0]:80',
  ]) {
    const address = parseTcpAddress(text)
    t.ok(address, text)
    t.equal(address && tcpAddressText(address), text)
  }
})

t.test('parseTcpAddress() refuses what is no address with a port', async (t) => {
  for (const text of [
    '::',
    ':80',
    '10.0.0.1',
    '10.0.0.1:65536',
    '010.0.0.1:80',
    'host:80',
    '[::]',
    '::1:9',
    '1.2.3:4',
    '[fe80::1%a/b]:80',
    80,
  ]) {
    t.equal(parseTcpAddress(text), undefined, String(text))
  }
})

t.test('parseHostPort() reads names and addresses with a port', async (t) => {
  for (const text of ['agent.example:9699', 'a:1', '192.0.2.1:65535', '[2001:db8::1]:80']) {
    const read = parseHostPort(text)
    t.equal(read && `${hostText(read.host)}:${read.tcpPort}`, text)
  }
  for (const bad of ['a', 'a:0', 'a:65536', '-a:1', 'a b:1', '::1:9', '[a]:1', 'u@a:1', ':1', '']) {
    t.equal(parseHostPort(bad), undefined, bad)
  }
})
