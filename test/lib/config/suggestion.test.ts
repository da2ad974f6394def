import t from 'tap'
import { closest } from '../../../lib/config/suggestion.ts'

t.test('closest() finds the word that was meant', async (t) => {
  const known = ['socket', 'connections', 'timeout_connect']
  t.equal(closest('sokcet', known), 'socket')
  t.equal(closest('timeout-connect', known), 'timeout_connect')
  t.equal(closest('Connection', known), 'connections')
  t.equal(closest('timeout', known), 'timeout_connect')
  t.equal(closest('time', known), undefined)
  t.equal(closest('password', known), undefined)
  t.equal(closest('x'.repeat(10_000), known), undefined)
  t.equal(closest('socket', []), undefined)
  t.equal(closest('foo', ['log', 'admin']), undefined)
  t.equal(closest('lok', ['log', 'admin']), 'log')
  t.equal(closest('lgo', ['log', 'admin']), 'log')
})
