import t from 'tap'
import { takeAnswerFields } from '../../../../proxy/worker/guest/answer-fields.ts'

t.test('takeAnswerFields() reads the length and takes out what is not for the guest', async (t) => {
  const headers = ['Content-Length', '56', 'X-Overlapd-Answer-Hop-Limit', '2', 'etag', 'x']
  t.strictSame(takeAnswerFields(headers), { length: 56, hopLimit: 2 })
  t.strictSame(headers, ['Content-Length', '56', 'etag', 'x'])
  t.strictSame(takeAnswerFields(['etag', 'x']), { length: -1 })
})

t.test('takeAnswerFields() takes an unreadable hop limit for the shortest way', async (t) => {
  for (const text of ['', '0', '256', '-1', '1.5', 'far', '1, 64']) {
    const headers = ['x-overlapd-answer-hop-limit', text]
    t.strictSame(takeAnswerFields(headers), { length: -1, hopLimit: 1 }, text)
    t.strictSame(headers, [])
  }
})

t.test('takeAnswerFields() takes out a repeated one as well', async (t) => {
  const headers = ['x-overlapd-answer-hop-limit', '2', 'x-overlapd-answer-hop-limit', '1']
  t.strictSame(takeAnswerFields(headers), { length: -1, hopLimit: 1 })
  t.strictSame(headers, [])
})
