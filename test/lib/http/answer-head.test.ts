import t from 'tap'
import { readAnswerHead } from '../../../lib/http/answer-head.ts'

const fields = (...texts: readonly string[]): readonly Buffer[] =>
  texts.map((text) => Buffer.from(text, 'latin1'))

t.test('readAnswerHead lets through what a guest may see, as it was spelled', async (t) => {
  const head = readAnswerHead(
    200,
    fields(
      'Content-Type',
      'text/plain',
      'ETag',
      '"\xe4"',
      'Set-Cookie',
      'a=b',
      'X-Instance-ID',
      'i',
      'Connection',
      'close',
      'Transfer-Encoding',
      'chunked',
    ),
    'compute',
  )
  t.strictSame(head?.headers, ['Content-Type', 'text/plain', 'ETag', '"\xe4"'])
})

t.test('readAnswerHead trusts reason codes of the agent, and only ones there are', async (t) => {
  const reason = (code: string) => fields('X-Overlapd-Reason', code)
  t.match(readAnswerHead(404, reason('no_port'), 'agent'), {
    headers: ['X-Overlapd-Reason', 'no_port'],
    reason: 'no_port',
  })
  t.strictSame(readAnswerHead(404, reason('made_up'), 'agent'), { headers: [], reason: undefined })
  t.strictSame(readAnswerHead(404, reason('no_port'), 'compute'), {
    headers: [],
    reason: undefined,
  })
})

t.test('readAnswerHead refuses heads that no guest could be given', async (t) => {
  t.equal(readAnswerHead(600, [], 'agent'), undefined)
  const twice = fields('Content-Length', '1', 'content-length', '1')
  t.equal(readAnswerHead(200, twice, 'compute'), undefined)
  t.equal(readAnswerHead(200, fields('ETag', 'a\x01b'), 'compute'), undefined)
  t.equal(readAnswerHead(200, fields('ETag', 'a\r\nb: c'), 'compute'), undefined)
})

t.test('readAnswerHead gives no length with 204', async (t) => {
  t.strictSame(readAnswerHead(204, fields('Content-Length', '0'), 'compute')?.headers, [])
})
