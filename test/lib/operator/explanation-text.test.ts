import t from 'tap'
import { explanationText, reasonOf } from '../../../lib/operator/explanation-text.ts'
import { reasonRow } from '../../../lib/runtime/reason-codes.ts'

t.test('explanationText() lists steps, verdict and what to do', async (t) => {
  const explanation = {
    steps: [
      { step: 'received', detail: { sourceIp: '10.0.0.99' }, ms: 0.014 },
      { step: 'ports', detail: { candidates: [{ portId: 'p-1', project: 'x' }] }, ms: 12.5 },
    ],
    verdict: {
      kind: 'none',
      reason: 'no_port',
      evidence: { ports: [{ portId: 'p-1' }], note: '\u001b[2J' },
    },
  }
  const text = explanationText(explanation)
  const { status, publicText, operatorAction } = reasonRow('no_port')
  t.match(text, / 1 {6}0\.01 ms {2}received {2}sourceIp=10\.0\.0\.99\n/)
  t.match(text, / 2 {5}12\.50 ms {2}ports {2}candidates=p-1\n/, 'of ports the id alone')
  t.match(text, `verdict: none\n  reason: no_port\n  ports:\n    portId=p-1\n`)
  t.ok(text.endsWith(`gets: ${status} ${publicText}\n  what to do: ${operatorAction}\n`))
  t.notMatch(text, '\u001b', 'nothing that a terminal obeys')
  t.equal(reasonOf(explanation), 'no_port')
})

t.test('explanationText() takes a verdict of a version that it does not know', async (t) => {
  const text = explanationText({ steps: [], verdict: { kind: 7, reason: 'of_tomorrow' } })
  t.match(text, 'verdict: unknown\n  reason: of_tomorrow\n')
  t.notMatch(text, 'what to do')
})
