import t from 'tap'
import { readAnswerHead } from '../../../lib/http/answer-head.ts'

function fields(...texts: readonly string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'))
}

t.test('readAnswerHead() hands on what is on the list and nothing else', async (t) => {
  const head = readAnswerHead(
    200,
    fields('Content-Type', 'text/plain', 'Set-Cookie', 'a=b', 'Connection', 'close', 'ETag', '"x"'),
    'compute',
  )

  t.strictSame(head, {
    headers: ['Content-Type', 'text/plain', 'ETag', '"x"'],
    reason: undefined,
  })
})

t.test('readAnswerHead() believes a reason code of the agent alone', async (t) => {
  const given = fields('X-Overlapd-Reason', 'no_port')

  t.strictSame(readAnswerHead(404, given, 'agent'), {
    headers: ['X-Overlapd-Reason', 'no_port'],
    reason: 'no_port',
  })
  t.strictSame(readAnswerHead(404, given, 'compute'), { headers: [], reason: undefined })
  const unknown = readAnswerHead(404, fields('X-Overlapd-Reason', 'made-up'), 'agent')
  t.strictSame(unknown, { headers: [], reason: undefined })
})

t.test('readAnswerHead() refuses answers that no guest could be given', async (t) => {
  const refused = [
    [600, []],
    [200, fields('Content-Length', '1', 'content-length', '1')],
    [200, fields('Content-Type', 'a\r\nX: y')],
    [200, fields('Content-Type', 'a\0b')],
  ] as const
  for (const [status, given] of refused) t.equal(readAnswerHead(status, given, 'agent'), undefined)
})

t.test('readAnswerHead() drops the length of an answer that has no body', async (t) => {
  t.strictSame(readAnswerHead(204, fields('Content-Length', '0'), 'compute')?.headers, [])
})
