import t from 'tap'
import { madeHealth } from '../../support/made-health.ts'
import { proxyPage } from '../../../proxy/admin/page.ts'
import type { ProxyStatus } from '../../../proxy/admin/status.ts'

const namespace = (netns: string, changes: object = {}): ProxyStatus['namespaces'][number] => ({
  netns,
  kind: 'router',
  scope: 'router/r-1',
  flavour: 'ml2',
  state: 'serving',
  listeners: ['[::]:9697'],
  interception: 'applied',
  ...changes,
})

const status: ProxyStatus = {
  version: '1.2.3',
  node: 'v22.0.0',
  health: madeHealth([{ name: 'agents', ready: false, detail: '0 of <1>' }]),
  pid: 17,
  agents: [
    { agent: '/run/agent.sock', up: 1, down: 1, answering: 0, lastFailure: 'connect EACCES' },
  ],
  servedScopes: [],
  namespaces: [
    namespace('qrouter-well'),
    namespace('qrouter-<b>ill</b>', { state: 'failed', why: 'held by <i>1, haproxy</i>' }),
  ],
  refused: [{ netns: 'qdhcp-two', why: 'two names' }],
  workers: [
    { pid: 18, state: 'ready', since: '2026-01-01T00:00:00.000Z', restarts: 0, agents: [] },
  ],
}

t.test('the page of the proxy shows trouble first, and escapes what others wrote', async (t) => {
  const page = await proxyPage(status)
  t.match(page, /2 in all, 1 with trouble,\s+1 refused/)
  t.match(page, /Not ready:\s+agents \(0 of &lt;1&gt;\)/)
  t.match(page, 'qrouter-&lt;b&gt;ill&lt;/b&gt;')
  t.match(page, 'held by &lt;i&gt;1, haproxy&lt;/i&gt;')
  t.match(page, 'connect EACCES')
  const places = ['qdhcp-two', 'qrouter-&lt;b&gt;', 'qrouter-well'].map((name) =>
    page.indexOf(name),
  )
  t.strictSame(
    places,
    places.toSorted((a, b) => a - b),
  )
  t.notMatch(page, /<(?:b|i|script)>/)
})

t.test('the page of the proxy cuts long lists and says what none is', async (t) => {
  const many = Array.from({ length: 600 }, (_, number) => namespace(`qrouter-${number}`))
  const well = { ...status, health: madeHealth(), refused: [] }
  const page = await proxyPage({ ...well, namespaces: many })
  t.match(page, 'The first 500 are shown')
  t.equal(page.split('qrouter-').length - 1, 500)
  t.match(page, 'Ready. No guest has been served yet.')
  t.match(await proxyPage({ ...well, namespaces: [] }), 'None.')
})
