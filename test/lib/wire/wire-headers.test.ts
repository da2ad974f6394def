import t from 'tap'
import {
  relayedResponseHeaders,
  scopeHeaders,
  wireHeaders,
} from '../../../lib/wire/wire-headers.ts'

t.test('wireHeaders are lower-case tokens, each once', async (t) => {
  const names = Object.values(wireHeaders)
  for (const name of names) t.match(name, /^[a-z][a-z0-9-]*$/)
  t.equal(new Set(names).size, names.length)
  for (const name of scopeHeaders) t.ok(names.includes(name))
})

t.test('relayedResponseHeaders let neither identity nor framing pass', async (t) => {
  const held = [
    ...Object.values(wireHeaders),
    'connection',
    'keep-alive',
    'proxy-authenticate',
    'set-cookie',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ]
  for (const name of held) t.notOk(relayedResponseHeaders.has(name), name)
})
