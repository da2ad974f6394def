import t from 'tap'
import { hopsOf } from '../../../deploy/guest-test/hops.ts'
import type { Explanation } from '../../../lib/operator/explanation.ts'

function explanation(steps: readonly (readonly [string, number, object?])[]): Explanation {
  return {
    steps: steps.map(([step, ms, detail]) => ({ step, ms, detail: { ...detail } })),
    verdict: { kind: 'found' },
  }
}

const agent = explanation([
  ['received', 0],
  ['resolved', 1, { basis: 'address_and_mac' }],
  ['signature', 3, { waited: 1.5, took: 0.5 }],
  ['compute', 8, { upstream: 'http://192.0.2.1:8775' }],
  ['answered', 8],
])
const worker = explanation([
  ['received', 0],
  ['answered', 10],
])

t.test('hopsOf() gives each hop its own time, so that they add up', async (t) => {
  const hops = hopsOf({ connected: 1, answered: 12, status: 200, proxy: worker, agent })
  t.strictSame(
    hops.map(({ hop, ms }) => [hop, ms]),
    [
      ['network', 1],
      ['redirect', 1],
      ['worker', 2],
      ['agent', 1.5],
      ['directory', 1],
      ['signature', 0.5],
      ['compute', 5],
    ],
  )
  t.match(hops.at(-1), { state: 'ok', detail: 'http://192.0.2.1:8775' })
})

t.test('hopsOf() never gives the network more than there was', async (t) => {
  const hops = hopsOf({ connected: 5, answered: 12, status: 200, proxy: worker, agent })
  t.match(hops.slice(0, 3), [
    { hop: 'network', ms: 2 },
    { hop: 'redirect', ms: 0 },
    { hop: 'worker', ms: 2 },
  ])
})

t.test('hopsOf() adds up where an agent or worker noted its end late', async (t) => {
  for (const [answered, whole] of [
    [12, 7.5],
    [9.5, 10],
    [7, 10],
  ] as const) {
    const proxy = explanation([
      ['received', 0],
      ['answered', whole],
    ])
    const hops = hopsOf({ connected: 1, answered, status: 200, proxy, agent })
    t.equal(
      hops.reduce((sum, { ms = 0 }) => sum + ms, 0),
      answered,
    )
  }
})

t.test('hopsOf() leaves out what a lease leaves out', async (t) => {
  const proxy = explanation([
    ['received', 0],
    ['lease', 0],
    ['compute', 0, { upstream: 'http://192.0.2.1:8775' }],
    ['answered', 4],
  ])
  t.match(hopsOf({ connected: 1, answered: 6, status: 200, proxy }), [
    { hop: 'network', ms: 1 },
    { hop: 'redirect', ms: 1 },
    { hop: 'worker', state: 'ok' },
    { hop: 'agent', state: 'unused' },
    { hop: 'directory', state: 'unused' },
    { hop: 'signature', state: 'unused' },
    { hop: 'compute', ms: 4, state: 'ok' },
  ])
})

t.test('hopsOf() gives the hop at which a request failed', async (t) => {
  const failedAt = (request: Parameters<typeof hopsOf>[0]): string | undefined =>
    hopsOf(request).find(({ state }) => state === 'failed')?.hop
  const reached = { connected: 1, answered: 5, proxy: worker }
  const unsigned = explanation([
    ['received', 0],
    ['resolved', 1],
    ['answered', 1],
  ])
  t.equal(failedAt({}), 'network')
  t.equal(failedAt({ connected: 1 }), 'redirect')
  t.equal(failedAt({ ...reached, status: 503, reason: 'agent_unreachable' }), 'agent')
  t.equal(failedAt({ ...reached, status: 413, reason: 'body_too_large' }), 'worker')
  t.equal(failedAt({ ...reached, status: 404, reason: 'no_port', agent: unsigned }), 'directory')
  t.equal(failedAt({ ...reached, status: 503, reason: 'compute_unreachable', agent }), 'compute')
  t.equal(failedAt({ ...reached, status: 403, agent }), 'compute')
  t.equal(failedAt({ ...reached, status: 200, agent }), undefined)
  const served = { netns: 'qrouter-1', state: 'failed', interception: 'failed' }
  t.match(hopsOf({ served, answered: 1, status: 200, agent }), [
    { hop: 'network', state: 'unknown' },
    { hop: 'redirect', state: 'failed' },
    { hop: 'worker', state: 'failed' },
  ])
})
