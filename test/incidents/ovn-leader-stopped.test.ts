// The leader of a southbound cluster was stopped (SIGSTOP), the others elected a new one that took writes, and the old
// instance was named for 49 to 75 s with ready 200. Right: 503 after some seconds, and the new instance from another member.
import t from 'tap'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { find } from '../conformance/port-questions.ts'
import { ip } from '../conformance/topology.ts'
import { guests, networks } from '../conformance/overlapping-topology.ts'
import { portRow, rowUuid } from '../support/ovn-rows.ts'
import { whyNoOvnCentral } from '../support/ovn-central.ts'
import { ovnDirectory } from '../support/ovn-directory.ts'
import { until } from '../support/until.ts'
import { OvsdbCluster } from '../support/ovsdb-cluster.ts'

const missing = whyNoOvnCentral()
const { plain } = guests
const successor = '99999999-0000-4000-8000-000000000001'
const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }

for (const leaderOnly of [false, true]) {
  const name = `a leader that hangs costs seconds (leader_only: ${leaderOnly})`
  t.test(name, { skip: missing ?? false }, async (t) => {
    const cluster = await OvsdbCluster.start()
    t.teardown(() => cluster.close())
    const frozen = await cluster.leader()
    const { logical_port, type, mac, external_ids } = portRow(plain)
    const ids = { name: `neutron-${networks.plain}`, 'logical-switch': rowUuid('switch') }
    await cluster.transact(
      frozen,
      {
        op: 'insert',
        table: 'Datapath_Binding',
        'uuid-name': 'network',
        row: { tunnel_key: 1, external_ids: ['map', Object.entries(ids)] },
      },
      {
        op: 'insert',
        table: 'Port_Binding',
        row: {
          logical_port,
          type,
          mac,
          external_ids,
          tunnel_key: 1,
          datapath: ['named-uuid', 'network'],
        },
      },
    )
    // The first server that is tried is the one that leads.
    const order = [frozen, ...[0, 1, 2].filter((member) => member !== frozen)]
    const directory = ovnDirectory({
      config: {
        ovn_sb_connection: order.map((member) => cluster.endpoint(member)),
        leader_only: leaderOnly,
      },
    })
    t.teardown(() => directory.close())
    await directory.start()
    await until(() => directory.readiness().detail.includes(cluster.endpoint(frozen)))
    t.match(await find(directory, query, 'cached'), [{ instanceId: plain.instanceId }])

    cluster.freeze(frozen)
    const began = performance.now()
    const elected = await cluster.leader()
    const device = ['map', [['neutron:device_id', plain.instanceId]]]
    const where = [['logical_port', '==', plain.portId]]
    const changed = ['map', [['neutron:device_id', successor]]]
    const mutations = [
      ['external_ids', 'delete', device],
      ['external_ids', 'insert', changed],
    ]
    await cluster.transact(elected, { op: 'mutate', table: 'Port_Binding', where, mutations })
    const committed = performance.now()
    let lastWrong = committed
    for (;;) {
      const named = await find(directory, query, 'cached').then(
        ([port]) => port?.instanceId,
        (thrown: unknown) => (thrown instanceof MetadataError ? thrown.code : String(thrown)),
      )
      if (named === successor) break
      if (named === plain.instanceId) lastWrong = performance.now()
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    t.ok(lastWrong - began < 15_000, `last wrong answer ${Math.round(lastWrong - began)} ms after`)
    t.comment(`the new instance ${Math.round(performance.now() - began)} ms after the stop`)
    await until(() => directory.isConfirmed())
    t.notMatch(directory.readiness().detail, new RegExp(cluster.endpoint(frozen)))
  })
}
