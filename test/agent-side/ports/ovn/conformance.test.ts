import t from 'tap'
import { portDirectoryConformance } from '../../../conformance/port-directory.ts'
import { systemClock } from '../../../../lib/runtime/clock.ts'
import { FakeOvsdb } from '../../../support/fake-ovsdb.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import { until } from '../../../support/until.ts'
import { southboundRows } from '../../../support/ovn-rows.ts'

for (const copy of ['all', 'served']) {
  portDirectoryConformance(t, {
    name: `ovn, copy ${copy}`,
    pushes: true,
    routers: true,
    holdsAll: copy === 'all',
    async open(topology, options) {
      const fake = await FakeOvsdb.open()
      fake.setTables(southboundRows(topology))
      if (options?.cutOff === true) await fake.stop()
      const directory = ovnDirectory({ config: { copy, ovn_sb_connection: [`unix:${fake.path}`] } })
      return {
        directory,
        clock: systemClock,
        setTopology: async (changed) => fake.setTables(southboundRows(changed)),
        cutOff: () => fake.stop(),
        restore: () => fake.listen(),
        settled: () => until(() => directory.isConfirmed()),
        close: () => fake.close(),
      }
    },
  })
}
