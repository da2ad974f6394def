import t from 'tap'
import {
  isReasonCode,
  reasonCodes,
  reasonRow,
  type ReasonCode,
} from '../../lib/runtime/reason-codes.ts'
import { sourceFiles } from '../support/source-files.ts'

const codes = Object.keys(reasonCodes).filter(isReasonCode)

/** Codes that clients may already rely on, whose use comes with the part named. A row goes when the part is there. */
const planned: Readonly<Partial<Record<ReasonCode, string>>> = {}

t.test('each reason code is used somewhere in production, or planned', async (t) => {
  const text = sourceFiles()
    .filter(({ path }) => !path.startsWith('lib/runtime/reasons/'))
    .map((file) => file.text)
    .join('\n')
  t.strictSame(
    codes.filter((code) => !text.includes(`'${code}'`)),
    codes.filter((code) => Object.hasOwn(planned, code)),
  )
})

t.test('each reason code has a row that makes sense', async (t) => {
  for (const code of codes) {
    const { status, publicText, retryAfter, logLevel, fault, operatorAction } = reasonRow(code)
    t.match(code, /^[a-z]+(?:_[a-z]+)*$/)
    t.ok(status >= 400 && status <= 599, `${code}: the status is an error`)
    t.match(publicText, /^[A-Z][ -~]{10,99}[^.]$/, `${code}: a plain sentence without a stop`)
    t.match(operatorAction, /^[^]{10,}\.$/, `${code}: whole sentences`)
    // cloud-init waits for 503 and takes every other 5xx as final.
    if (status === 503) t.ok(retryAfter !== undefined, `${code}: 503 says when to try again`)
    if (retryAfter !== undefined)
      t.ok(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 60)
    if (fault === 'guest') {
      t.not(logLevel, 'error', `${code}: a guest must not be able to fill the log with errors`)
    }
    if (status === 404) t.equal(retryAfter, undefined, `${code}: 404 is an answer, not a delay`)
  }
})

t.test('what guests read names nothing of the operator', async (t) => {
  for (const code of codes) {
    t.notMatch(
      reasonRow(code).publicText,
      /neutron|nova|ovn|rabbit|keystone|secret|socket|haproxy/i,
      code,
    )
  }
})
