import t from 'tap'
import { createAdminApp, registryMetrics } from '../../../lib/http/admin-app.ts'
import { madeHealth, type MadePart } from '../../support/made-health.ts'
import { createRegistry, Gauge } from '../../../lib/observe/metrics.ts'

function app(parts: readonly MadePart[]) {
  const registry = createRegistry()
  new Gauge({ name: 'overlapd_test_things', help: 'Things.', registers: [registry] }).set(4)
  return createAdminApp({
    health: () => madeHealth(parts),
    metrics: registryMetrics(registry),
    status: () => ({ workers: 2 }),
    history: () => [minute],
  })
}

const minute = { at: '2026-01-01T00:01:00.000Z', answers: { '2xx': 3 }, median: 1, p99: 5 }
const directory = { name: 'directory', ready: false, detail: 'waits for the first dump' }
const listener = { name: 'listener', ready: true, detail: '/run/x.sock' }

t.test('/health reports that the process is alive, ready or not', async (t) => {
  const answer = await app([directory]).request('/health')
  t.equal(answer.status, 200)
  t.strictSame(await answer.json(), { status: 'ok' })
})

t.test('/ready is 503 only when no guest can be served, and has the whole health', async (t) => {
  const ready = await app([listener]).request('/ready')
  t.equal(ready.status, 200)
  t.match(await ready.json(), { state: 'ready', ready: true, parts: [listener] })
  const waiting = await app([listener, directory]).request('/ready')
  t.equal(waiting.status, 503)
  t.match(await waiting.json(), {
    state: 'not_ready',
    ready: false,
    parts: [listener, directory],
    problems: [{ code: 'directory_not_ready', what: directory.detail }],
  })
})

t.test('/metrics, /status and /history give what they were given', async (t) => {
  const metrics = await app([]).request('/metrics')
  t.match(metrics.headers.get('content-type'), /^text\/plain/)
  t.match(await metrics.text(), 'overlapd_test_things 4')
  t.strictSame(await (await app([]).request('/status')).json(), { workers: 2 })
  t.strictSame(await (await app([]).request('/history')).json(), { minutes: [minute] })
  t.match(await (await app([]).request('/')).text(), 'overlapd ui')
})

t.test('every answer forbids caching, sniffing and scripts', async (t) => {
  for (const path of ['/health', '/ready', '/metrics', '/status', '/none']) {
    const { headers } = await app([]).request(path)
    t.equal(headers.get('cache-control'), 'no-store', path)
    t.equal(headers.get('x-content-type-options'), 'nosniff')
    t.match(headers.get('content-security-policy'), "default-src 'none'")
  }
  t.equal((await app([]).request('/none')).status, 404)
  t.equal((await app([]).request('/health', { method: 'POST' })).status, 404)
})
