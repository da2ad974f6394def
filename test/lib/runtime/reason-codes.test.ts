import t from 'tap'
import { isReasonCode, reasonCodes, reasonRow } from '../../../lib/runtime/reason-codes.ts'

t.test('isReasonCode() knows the table and nothing beside it', async (t) => {
  for (const code of Object.keys(reasonCodes)) t.equal(isReasonCode(code), true)
  for (const text of ['', 'toString', '__proto__', 'constructor', 'No_Port', undefined, 5]) {
    t.equal(isReasonCode(text), false, String(text))
  }
})

t.test('reasonRow() gives the row of a code', async (t) => {
  t.equal(reasonRow('no_port').status, 404)
  t.equal(reasonRow('directory_unavailable').status, 503)
})
