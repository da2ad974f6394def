import t from 'tap'
import type { LeasedUse } from '../../../../lib/wire/lease-messages.ts'
import { ServedCounts } from '../../../../proxy/worker/forwarding/served-counts.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const document = '/openstack/latest/meta_data.json'

t.test('requests of one program for one class of documents are reported together', async (t) => {
  const clock = new FakeClock()
  const reports: (readonly LeasedUse[])[] = []
  const counts = new ServedCounts(clock, (uses) => reports.push(uses))
  counts.note(1, 'curl', document)
  counts.note(1, 'curl', '/latest/meta-data/hostname')
  counts.note(1, 'curl', '/latest/user-data')
  counts.note(2, 'curl', document)
  t.equal(reports.length, 0)
  await clock.advance(500)
  t.equal(reports.length, 1)
  t.strictSame(reports[0], [
    { kind: 'served', lease: 1, agent: 'curl', requests: 2, target: '/latest/meta-data/hostname' },
    { kind: 'served', lease: 1, agent: 'curl', requests: 1, target: '/latest/user-data' },
    { kind: 'served', lease: 2, agent: 'curl', requests: 1, target: document },
  ])
  counts.close()
})

t.test('more targets than are remembered are counted all the same', async (t) => {
  const clock = new FakeClock()
  const reports: (readonly LeasedUse[])[] = []
  const counts = new ServedCounts(clock, (uses) => reports.push(uses))
  for (let round = 0; round < 2; round += 1) {
    for (let number = 0; number < 600; number += 1) counts.note(1, '', `/user-data/${number}`)
  }
  await clock.advance(500)
  t.strictSame(
    reports.flat().map(({ requests }) => requests),
    [1_200],
  )
  counts.close()
})
