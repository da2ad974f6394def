import t from 'tap'
import { neutronRestDefaults } from '../../../support/neutron-defaults.ts'
import { NeutronRestDirectory } from '../../../../agent-side/ports/neutron-rest/directory.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { portDirectoryConformance } from '../../../conformance/port-directory.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeNeutron } from '../../../support/fake-neutron.ts'

portDirectoryConformance(t, {
  name: 'NeutronRestDirectory',
  pushes: false,
  routers: true,
  async open(topology, options) {
    const neutron = new FakeNeutron()
    neutron.ports.set(topology)
    await neutron.listen()
    const clock = new FakeClock()
    if (options?.cutOff === true) await neutron.close()
    const directory = new NeutronRestDirectory(
      { ...neutronRestDefaults, endpoint: neutron.url, attempts: 1 },
      { clock, logger: silentLogger, registry: createRegistry() },
    )
    return {
      directory,
      clock,
      async setTopology(next) {
        neutron.ports.set(next)
      },
      cutOff: () => neutron.close(),
      restore: () => neutron.listen(),
      async settled() {
        await clock.advance(70_000)
        // The first question after the start runs over a real socket.
        while (!directory.readiness().ready) await clock.advance(100)
      },
      close: () => neutron.close(),
    }
  },
})
