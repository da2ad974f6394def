import t from 'tap'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'

t.test('MetadataError has a code, details and a cause', async (t) => {
  const cause = new Error('refused')
  const error = new MetadataError('directory_unavailable', 'Cannot ask Neutron', {
    cause,
    details: { url: 'http://neutron' },
  })
  t.ok(error instanceof Error)
  t.match(error, {
    name: 'MetadataError',
    code: 'directory_unavailable',
    details: { url: 'http://neutron' },
  })
  t.equal(error.cause, cause)
  const bare = new MetadataError('no_port', 'No port')
  t.strictSame(bare.details, {})
  t.notOk('cause' in bare)
  t.equal(bare.retryAfter, undefined)
  t.equal(new MetadataError('overloaded', 'Busy', { retryAfter: 4 }).retryAfter, 4)
})

t.test('causeText() gives the whole chain once', async (t) => {
  const system = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' })
  const named = Object.assign(new Error('connect ECONNREFUSED /run/x'), { code: 'ECONNREFUSED' })
  t.equal(causeText(new Error('a', { cause: new Error('b', { cause: 'c' }) })), 'a: b: c')
  t.equal(causeText(system), 'connect refused (ECONNREFUSED)')
  t.equal(causeText(named), 'connect ECONNREFUSED /run/x')
  t.equal(causeText(new Error('a: b', { cause: new Error('b') })), 'a: b')
  t.equal(causeText(new Error('ab', { cause: new Error('b') })), 'ab: b')
  t.equal(causeText('text'), 'text')
  t.equal(causeText(undefined), 'undefined')
})
