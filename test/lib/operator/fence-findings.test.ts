import t from 'tap'
import { fenceFindings } from '../../../lib/operator/fence-findings.ts'

const closed = { state: 'closed', scopes: 3, supervisors: 1, areWorkersApart: true, waiting: 0 }
const findings = (servedScopes: unknown) => fenceFindings({ servedScopes })

t.test('fenceFindings report how far a broken worker reaches, and what to do', async (t) => {
  t.strictSame(findings(closed), [
    { level: 'ok', code: 'fence', what: 'closed around 3 scopes of this host' },
  ])
  t.match(findings({ ...closed, state: 'open' }), [
    { level: 'warn', code: 'fence_open', remedy: /^Update overlapd-proxy/ },
  ])
  t.match(findings({ state: 'off' }), [{ level: 'warn', code: 'fence_off', remedy: /"automatic"/ }])
  t.match(findings({ ...closed, supervisors: 0 }), [
    { level: 'fail', code: 'fence_closed', remedy: /restart overlapd-proxy/ },
  ])
  t.match(findings({ ...closed, areWorkersApart: false }), [
    { level: 'warn', code: 'fence_breachable', remedy: /workers.user/ },
  ])
})

t.test(
  'fenceFindings report nothing where no worker connects, or the agent is older',
  async (t) => {
    for (const status of [undefined, 7, {}, { servedScopes: 'closed' }]) {
      t.strictSame(fenceFindings(status), [])
    }
  },
)
