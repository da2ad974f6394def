import t from 'tap'
import { errorResponse } from '../../../lib/http/error-response.ts'
import { isReasonCode, reasonCodes, reasonRow } from '../../../lib/runtime/reason-codes.ts'

t.test('errorResponse() has the code in header and body, as text', async (t) => {
  const { status, headers, body } = errorResponse('no_port', { requestId: 'r-1' })
  t.equal(status, 404)
  t.equal(body, 'No instance has this address on this network\nreason: no_port\nrequest: r-1\n')
  t.strictSame(headers, {
    'content-type': 'text/plain; charset=UTF-8',
    'content-length': String(body.length),
    'cache-control': 'no-store',
    'x-overlapd-reason': 'no_port',
    'x-request-id': 'r-1',
  })
})

t.test('errorResponse() gives JSON to those that request it', async (t) => {
  const { headers, body } = errorResponse('rate_limited', { accept: 'text/html, Application/JSON' })
  t.equal(headers['content-type'], 'application/json')
  t.strictSame(JSON.parse(body), {
    status: 429,
    reason: 'rate_limited',
    message: 'Too many requests from this instance',
  })
  t.match(errorResponse('rate_limited', { accept: '*/*' }).body, /^Too many requests/)
})

t.test('errorResponse() has Retry-After where waiting helps', async (t) => {
  t.equal(errorResponse('directory_unavailable').headers['retry-after'], '2')
  t.equal(errorResponse('directory_unavailable', { retryAfter: 9 }).headers['retry-after'], '9')
  t.equal(errorResponse('no_port').headers['retry-after'], undefined)
})

t.test('errorResponse() gives a guest nothing but the public text of each code', async (t) => {
  for (const code of Object.keys(reasonCodes)) {
    if (!isReasonCode(code)) continue
    const { publicText, operatorAction } = reasonRow(code)
    const { body, headers } = errorResponse(code)
    t.equal(body, `${publicText}\nreason: ${code}\n`)
    t.equal(headers['content-length'], String(Buffer.byteLength(body)))
    t.notOk(body.includes(operatorAction))
  }
})
