// Neutron's OVN agents take any member of the southbound cluster; the `ovn` directory insisted on the leader and did not say so.
// Right: the same default, and a follower is used only while it is connected to its cluster and not behind it.
import t from 'tap'
import { overlappingTopology } from '../conformance/overlapping-topology.ts'
import { FakeOvsdb } from '../support/fake-ovsdb.ts'
import { ovnDirectory } from '../support/ovn-directory.ts'
import { until } from '../support/until.ts'
import { rowUuid, southboundRows } from '../support/ovn-rows.ts'

const cid = ['uuid', rowUuid('cluster')]
const follower = {
  name: 'OVN_Southbound',
  model: 'clustered',
  connected: true,
  leader: false,
  cid,
  index: 20,
}

t.test('a follower is used by default, while it is right', async (t) => {
  const members = [
    await FakeOvsdb.open({ status: follower }),
    await FakeOvsdb.open({ status: { ...follower, index: 19 } }),
  ] as const
  for (const member of members) {
    member.setTables(southboundRows(overlappingTopology()))
    t.teardown(() => member.close())
  }
  const [used, behind] = members
  const config = { ovn_sb_connection: members.map(({ path }) => `unix:${path}`) }
  const directory = ovnDirectory({ config })
  t.teardown(() => directory.close())
  await directory.start()
  const detail = (): string => directory.readiness().detail
  await until(() => detail().includes(`kept in step by unix:${used.path}`))
  t.pass('a follower')
  used.setStatus({ ...follower, connected: false })
  await until(() => /lost its cluster|is behind/.test(detail()))
  t.notMatch(detail(), /kept in step/, 'neither one that lost its cluster, nor one that is behind')
  behind.setStatus({ ...follower, index: 21 })
  await until(() => detail().includes(`kept in step by unix:${behind.path}`))
  t.pass('one that has caught up')
})
