import t from 'tap'
import { parseNetworkId, parseRouterId } from '../../../lib/identity/ids.ts'
import { scopeText } from '../../../lib/identity/scope.ts'

t.test('scopeText() never gives a router and a network the same text', async (t) => {
  const routerId = parseRouterId('one')!
  const networkId = parseNetworkId('one')!
  t.equal(scopeText({ kind: 'router', routerId }), 'router/one')
  t.equal(scopeText({ kind: 'network', networkId }), 'network/one')
})
