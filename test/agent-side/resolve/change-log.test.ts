import t from 'tap'
import { ChangeLog } from '../../../agent-side/resolve/change-log.ts'
import { networkId, routerId } from '../../conformance/topology.ts'

const network = {
  scope: { kind: 'network', networkId: networkId(1) },
  networkIds: [networkId(1)],
} as const
const router = {
  scope: { kind: 'router', routerId: routerId(1) },
  networkIds: [networkId(1)],
} as const

t.test('isUnchanged() looks at everything an answer rests on, and at nothing else', async (t) => {
  const log = new ChangeLog(10)
  const before = log.latest
  log.note({ kind: 'network', networkId: networkId(2) })
  log.note({ kind: 'router', routerId: routerId(2) })
  t.ok(log.isUnchanged(before, network))
  t.ok(log.isUnchanged(before, router))
  log.note({ kind: 'router', routerId: routerId(1) })
  t.ok(log.isUnchanged(before, network))
  t.notOk(log.isUnchanged(before, router))
  const between = log.latest
  log.note({ kind: 'network', networkId: networkId(1) })
  t.notOk(log.isUnchanged(before, network))
  t.notOk(log.isUnchanged(between, router))
  t.ok(log.isUnchanged(log.latest, router))
})

t.test('isUnchanged() doubts everything after a change of all', async (t) => {
  const log = new ChangeLog(10)
  const before = log.latest
  log.note({ kind: 'all', why: 'reconnected' })
  t.notOk(log.isUnchanged(before, network))
  t.ok(log.isUnchanged(log.latest, network))
})

t.test('isUnchanged() doubts what is older than it can remember', async (t) => {
  const log = new ChangeLog(2)
  const before = log.latest
  log.note({ kind: 'network', networkId: networkId(1) })
  const after = log.latest
  for (const other of [5, 6, 7]) log.note({ kind: 'network', networkId: networkId(other) })
  t.notOk(log.isUnchanged(before, network))
  const unknown = {
    scope: { kind: 'network', networkId: networkId(3) },
    networkIds: [networkId(3)],
  } as const
  t.notOk(log.isUnchanged(before, unknown), 'it may have been among the forgotten')
  t.notOk(log.isUnchanged(after, unknown))
  t.ok(log.isUnchanged(log.latest - 1, unknown))
})
