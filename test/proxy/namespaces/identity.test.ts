import t from 'tap'
import { identityFromName, identityOf, isSameIdentity } from '../../../proxy/namespaces/identity.ts'

const id = '5f0c7e6e-9d0d-4f0c-8a3b-0123456789ab'

t.test('identityFromName() reads the names that Neutron gives', async (t) => {
  t.same(identityFromName(`qrouter-${id}`), {
    kind: 'router',
    scope: { kind: 'router', routerId: id },
    flavour: 'ml2',
  })
  t.same(identityFromName(`qdhcp-${id}`), {
    kind: 'network',
    scope: { kind: 'network', networkId: id },
    flavour: 'ml2',
  })
  t.same(identityFromName(`ovnmeta-${id}`), {
    kind: 'ovn',
    scope: { kind: 'network', networkId: id },
    flavour: 'ovn',
  })
})

t.test('identityFromName() takes nothing that only resembles one', async (t) => {
  const others = [
    `snat-${id}`,
    `fip-${id}`,
    `qrouter-${id}-x`,
    `xqrouter-${id}`,
    `qrouter-${id.toUpperCase()}`,
    `qrouter-${id.slice(1)}`,
    `qrouter-${id}\n`,
    'qrouter-',
    'ovt-1234',
    '',
  ]
  for (const name of others) t.equal(identityFromName(name), undefined, JSON.stringify(name))
})

t.test('identityOf() refuses what cannot be an id', async (t) => {
  t.equal(identityOf('router', undefined), undefined)
  t.equal(identityOf('network', 'a b'), undefined)
  t.equal(identityOf('ovn', 'a\r\nb'), undefined)
})

t.test(
  'isSameIdentity() distinguishes router from network and the flavours from each other',
  async (t) => {
    const [router, network, ovn] = (['router', 'network', 'ovn'] as const).map((kind) =>
      identityOf(kind, id)!,
    )
    t.ok(isSameIdentity(router!, identityOf('router', id)!))
    t.notOk(isSameIdentity(router!, network!))
    t.notOk(isSameIdentity(network!, ovn!))
    t.notOk(isSameIdentity(network!, identityOf('network', 'other')!))
  },
)
