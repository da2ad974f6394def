import t from 'tap'
import { CommandOptions, UsageError } from '../../../lib/cli/command.ts'
import { explainSubject, type ExplainSubject } from '../../../lib/operator/explain-subject.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'

const instance = '4ee3a778-6802-46ca-bf0d-358565af4db6'
const guest = { scope: 'router/r', address: '10.0.0.10', macAddress: 'fa:16:3e:00:00:10' }

function subjectOf(given: Readonly<Record<string, string>>): ExplainSubject {
  const options = new CommandOptions(given)
  return explainSubject({ options, arguments: [], terminal: new FakeTerminal() })
}

t.test('explainSubject() makes a query of a scope with an address', async (t) => {
  for (const [given, expected] of [
    [{ router: 'r', ip: '10.0.0.10' }, 'router=r&ip=10.0.0.10'],
    [
      { router: 'r', ip: '10.0.0.10', ingressPort: '4d2a7c11-9e' },
      'router=r&ingress_port=4d2a7c11-9e&ip=10.0.0.10',
    ],
    [
      { network: 'n', ip: 'FD00::10', mac: 'FA:16:3E:00:00:10' },
      'network=n&ip=fd00%3A%3A10&mac=fa%3A16%3A3e%3A00%3A00%3A10',
    ],
    [{ request: 'req-1' }, 'request=req-1'],
  ] as const) {
    const subject = subjectOf(given)
    t.equal(subject.kind === 'query' && subject.query.toString(), expected)
  }
})

t.test('explainSubject() searches by an instance, or by an address alone', async (t) => {
  const isFound = (given: Readonly<Record<string, string>>, instanceId: string): boolean => {
    const subject = subjectOf(given)
    return subject.kind === 'search' && subject.isWanted({ ...guest, instanceId })
  }
  t.equal(isFound({ instance }, instance), true)
  t.equal(isFound({ instance }, ''), false)
  t.equal(isFound({ ip: '10.0.0.10' }, instance), true)
  t.equal(isFound({ ip: '10.0.0.11' }, instance), false)
  t.equal(isFound({ ip: '10.0.0.10', mac: guest.macAddress }, instance), true)
  t.equal(isFound({ ip: '10.0.0.10', mac: 'fa:16:3e:00:00:11' }, instance), false)
})

t.test('explainSubject() rejects what names no subject, or two', async (t) => {
  for (const given of [
    {},
    { mac: guest.macAddress },
    { router: 'r', network: 'n', ip: '10.0.0.10' },
    { router: 'r' },
    { network: 'n', ip: '10.0.0.10', ingressPort: 'other' },
    { request: 'req-1', ip: '10.0.0.10' },
    { instance, mac: guest.macAddress },
    { instance: 'web 1' },
    { router: 'r', ip: '10.0.0' },
    { router: 'r', ip: '10.0.0.10', mac: 'fa:16' },
  ]) {
    t.throws(() => subjectOf(given), UsageError, JSON.stringify(given))
  }
})
