import t from 'tap'
import { systemClock } from '../../../../lib/runtime/clock.ts'
import type { NeutronRpcDirectory } from '../../../../agent-side/ports/neutron-rpc/directory.ts'
import type { DirectoryChange } from '../../../../agent-side/ports/directory/port-directory.ts'
import { portDirectoryConformance } from '../../../conformance/port-directory.ts'
import type { PortDirectoryDriver } from '../../../conformance/port-directory-driver.ts'
import { heard } from '../../../conformance/port-questions.ts'
import { networkId, portId, type Topology } from '../../../conformance/topology.ts'
import { FakeNeutronRpc, portRows } from '../../../support/fake-neutron-rpc.ts'
import { skipUnlessRabbitMq, startRabbitMq, type RabbitMq } from '../../../support/rabbitmq.ts'
import { TcpRelay } from '../../../support/tcp-relay.ts'
import { makeDirectory, untilReady } from '../../../support/neutron-rpc-directory.ts'
import { until } from '../../../support/until.ts'

const sentinelNetwork = networkId(0xffff)

function isSentinel(change: DirectoryChange): boolean {
  return change.kind === 'network' && change.networkId === sentinelNetwork
}

/** What was pushed before has been taken in once this has arrived: messages keep their order. */
async function pushedThrough(
  directory: NeutronRpcDirectory,
  server: FakeNeutronRpc,
): Promise<void> {
  const arrived = heard(directory, isSentinel)
  server.pushUpdated({
    id: portId(0xffff),
    network_id: sentinelNetwork,
    mac_address: 'fa:16:3e:ff:ff:ff',
    fixed_ips: [],
    device_id: '',
    device_owner: 'network:sentinel',
    project_id: '',
    revision_number: 1,
  })
  await arrived
}

function driver(rabbit: RabbitMq, copy: 'networks' | 'all'): PortDirectoryDriver {
  return {
    name: `neutron-rpc (copy: ${copy})`,
    pushes: true,
    routers: true,
    async open(topology, options) {
      const server = new FakeNeutronRpc(rabbit)
      server.setRows(portRows(topology))
      let held: Topology = topology
      await server.start()
      const relay = new TcpRelay(rabbit.tcpPort)
      await relay.open()
      const { tcpPort } = relay
      if (options?.cutOff === true) await relay.cut()
      const { directory } = makeDirectory({ ...rabbit, tcpPort }, systemClock, { copy })
      return {
        directory,
        clock: systemClock,
        async setTopology(next) {
          held = next
          server.setTopology(next)
        },
        async cutOff() {
          await relay.cut()
          await until(() => !directory.readiness().ready)
        },
        restore: () => relay.restore(),
        async settled() {
          await untilReady(directory)
          const { allPorts } = directory
          const count = portRows(held).length
          if (allPorts !== undefined) await until(() => [...allPorts()].length >= count)
          await pushedThrough(directory, server)
        },
        async close() {
          await server.close()
          await relay.cut()
        },
      }
    },
  }
}

if (skipUnlessRabbitMq(t)) {
  const rabbit = await startRabbitMq()
  t.teardown(() => rabbit.close())
  portDirectoryConformance(t, driver(rabbit, 'networks'))
  portDirectoryConformance(t, driver(rabbit, 'all'))
}
