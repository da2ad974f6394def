import { format, inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../../../lib/runtime/secret.ts'

t.test('Secret gives its value to reveal() alone', async (t) => {
  const secret = new Secret('hunter2')
  t.equal(secret.reveal(), 'hunter2')
  const texts = [
    String(secret),
    secret.toString(),
    ''.concat(secret as unknown as string),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: [secret] }, { depth: 9, showHidden: true }),
    format('%s %o %j', secret, secret, secret),
    Object.keys(secret).join(),
    JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
    JSON.stringify(Object.assign({}, secret)),
  ]
  for (const text of texts) t.notMatch(text, /hunter2/)
  t.equal(JSON.stringify({ secret }), '{"secret":"[redacted]"}')
})
