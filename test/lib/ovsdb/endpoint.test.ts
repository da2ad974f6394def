import t from 'tap'
import { ovsdbEndpointText, parseOvsdbEndpoint } from '../../../lib/ovsdb/endpoint.ts'

t.test('parseOvsdbEndpoint() reads the notation of ovsdb(7) and writes it back', async (t) => {
  const good = [
    'unix:/run/ovn/sb.sock',
    'tcp:127.0.0.1:6642',
    'ssl:ovn-sb.example.org:6642',
    'ssl:[fd00::1]:6642',
  ]
  for (const text of good) {
    const endpoint = parseOvsdbEndpoint(text)
    t.equal(endpoint && ovsdbEndpointText(endpoint), text)
  }
})

t.test('parseOvsdbEndpoint() refuses what is none', async (t) => {
  const bad = [
    '',
    'unix:',
    'unix:sb.sock',
    'tcp:host',
    'tcp::6642',
    'tcp:host:0',
    'tcp:host:70000',
    'tcp:[host]:1',
    'tcp:fd00::1:6642',
    'ptcp:6642:0.0.0.0',
    'http://x:1',
    'tcp:a b:1',
    'ssl:h:1:2',
  ]
  for (const text of bad) t.equal(parseOvsdbEndpoint(text), undefined, text)
})
