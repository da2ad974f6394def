import t from 'tap'
import { parseNetworkId, parseRouterId } from '../../../lib/identity/ids.ts'
import type { Attachment } from '../../../proxy/namespaces/plan-attachments.ts'
import { canaryPlace } from '../../../proxy/canary/places.ts'
import type { NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'

const routerId = parseRouterId('9f5e6a6a-58a8-4a57-b6a9-c0f6e56f0fd1')!
const networkId = parseNetworkId('5a21ee00-29b1-4b2b-b3a9-0a6a5e1ce5d9')!

const router: Attachment = {
  key: '4:1' as NamespaceKey,
  netns: `qrouter-${routerId}`,
  path: `/run/netns/qrouter-${routerId}`,
  identity: { kind: 'router', scope: { kind: 'router', routerId }, flavour: 'ml2' },
  listen: [],
  intercept: true,
}
const network: Attachment = {
  ...router,
  identity: { kind: 'network', scope: { kind: 'network', networkId }, flavour: 'ml2' },
  intercept: false,
}

t.test(
  'canaryPlace() requests the metadata address over loopback where it is redirected',
  async (t) => {
    t.match(canaryPlace(router, [':::9697']).targets, [
      { address: '169.254.169.254', tcpPort: 80, interfaceIndex: 0, overLoopback: true },
    ])
  },
)

t.test('canaryPlace() queries each listener where nothing is redirected', async (t) => {
  t.same(canaryPlace(network, ['169.254.169.254:80', 'fe80::a9fe:a9fe%7:80']).targets, [
    { address: '169.254.169.254', tcpPort: 80, interfaceIndex: 0, overLoopback: false },
    { address: 'fe80::a9fe:a9fe', tcpPort: 80, interfaceIndex: 7, overLoopback: false },
  ])
  t.match(canaryPlace({ ...router, intercept: false }, [':::9697']).targets, [
    { address: '127.0.0.1', tcpPort: 9697 },
  ])
})

t.test('canaryPlace() queries nothing where nothing listens', async (t) => {
  t.same(canaryPlace(router, []).targets, [])
})
