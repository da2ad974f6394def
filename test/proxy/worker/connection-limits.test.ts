import t from 'tap'
import { parseIpAddress } from '../../../lib/ip-address.ts'
import { ScopeConnections } from '../../../proxy/worker/connection-limits.ts'

const first = parseIpAddress('10.0.0.1')!
const second = parseIpAddress('10.0.0.2')!

t.test('ScopeConnections lets each source and all together have so many', async (t) => {
  const connections = new ScopeConnections({ connectionsPerSource: 2, connectionsPerNamespace: 3 })

  t.equal(connections.take(first), undefined)
  t.equal(connections.take(first), undefined)
  t.equal(connections.take(first), 'source')
  t.equal(connections.take(second), undefined)
  t.equal(connections.take(second), 'namespace')
  connections.release(first)
  t.equal(connections.take(second), undefined)
})

t.test('ScopeConnections is unused when nothing is open and nothing listens', async (t) => {
  const connections = new ScopeConnections({ connectionsPerSource: 2, connectionsPerNamespace: 3 })

  t.equal(connections.isUnused, true)
  connections.listeners += 1
  t.equal(connections.isUnused, false)
  connections.take(first)
  connections.listeners -= 1
  t.equal(connections.isUnused, false)
  connections.release(first)
  t.equal(connections.isUnused, true)
})
