import t from 'tap'
import { planAttachments, type Attachment } from '../../../proxy/namespaces/plan-attachments.ts'
import type { NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'
import { reconcile } from '../../../proxy/namespaces/reconcile.ts'

const idA = 'aaaaaaaa-9d0d-4f0c-8a3b-0123456789ab'
const idB = 'bbbbbbbb-9d0d-4f0c-8a3b-0123456789ab'

function attachment(netns: string, inode: number, tcpPort = 9697): Attachment {
  const key = `4:${inode}` as NamespaceKey
  const { attachments } = planAttachments([{ netns, path: `/run/netns/${netns}`, key }], {
    discover: true,
    kinds: ['router', 'network', 'ovn'],
    mappings: [],
    tcpPort,
    intercept: true,
    homeKey: '4:1' as NamespaceKey,
  })
  return attachments[0]!
}

function current(...attachments: Attachment[]): ReadonlyMap<NamespaceKey, Attachment> {
  return new Map(attachments.map((one) => [one.key, one]))
}

const router = attachment(`qrouter-${idA}`, 10)

t.test('reconcile() opens what is new and closes what is gone', async (t) => {
  const other = attachment(`qdhcp-${idA}`, 11)
  t.same(reconcile([router], current()), { open: [router], close: [], rename: [] })
  t.same(reconcile([other], current(router)), { open: [other], close: [router.key], rename: [] })
  t.same(reconcile([router], current(router)), { open: [], close: [], rename: [] })
})

t.test('reconcile() takes a name made again for another namespace', async (t) => {
  const again = attachment(`qrouter-${idA}`, 20)
  t.same(reconcile([again], current(router)), { open: [again], close: [router.key], rename: [] })
})

t.test('reconcile() closes before it serves a namespace as something else', async (t) => {
  for (const other of [attachment(`qrouter-${idB}`, 10), attachment(`qrouter-${idA}`, 10, 9698)]) {
    t.same(reconcile([other], current(router)), { open: [other], close: [router.key], rename: [] })
  }
})

t.test('reconcile() keeps listeners when only the path is another', async (t) => {
  const moved = { ...router, path: '/elsewhere' }
  t.same(reconcile([moved], current(router)), { open: [], close: [], rename: [moved] })
})
