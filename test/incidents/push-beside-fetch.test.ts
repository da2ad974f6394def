// A port's change that was pushed while its network was fetched for the first time was dropped, and what had been pushed before the
// broker was lost outlived its deletion: for minutes guests got the old instance. Right: the new one, from the first answer on.
import t, { type Test } from 'tap'
import { deferred } from '../../lib/runtime/deferred.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import {
  guests,
  networks,
  overlappingTopology,
  routers,
} from '../conformance/overlapping-topology.ts'
import { find, heard, networksOf, touchesNetwork, withPort } from '../conformance/port-questions.ts'
import { instanceId, ip } from '../conformance/topology.ts'
import { FakeNeutronRpc, portRows } from '../support/fake-neutron-rpc.ts'
import { makeDirectory, untilLive, untilReady } from '../support/neutron-rpc-directory.ts'
import { until } from '../support/until.ts'
import { skipUnlessRabbitMq, startRabbitMq, type RabbitMq } from '../support/rabbitmq.ts'
import { TcpRelay } from '../support/tcp-relay.ts'

const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
const changed = withPort(overlappingTopology(), { ...guests.plain, instanceId: instanceId(0x777) })

async function opened(t: Test, rabbit: RabbitMq) {
  const server = new FakeNeutronRpc({ ...rabbit })
  server.setRows(portRows(overlappingTopology()))
  await server.start()
  const relay = new TcpRelay(rabbit.tcpPort)
  await relay.open()
  const { directory } = makeDirectory({ ...rabbit, tcpPort: relay.tcpPort }, systemClock)
  t.teardown(async () => {
    await directory.close()
    await server.close()
    await relay.cut()
  })
  await directory.start()
  await untilReady(directory)
  return { server, relay, directory }
}

function tests(rabbit: RabbitMq): void {
  t.test('a change that is pushed while the first answer is on its way', async (t) => {
    const { server, directory } = await opened(t, rabbit)
    const asked = deferred<undefined>()
    const released = deferred<undefined>()
    server.override = ({ method }) => {
      if (method !== 'get_ports') return undefined
      server.override = undefined
      asked.resolve(undefined)
      const result = portRows(overlappingTopology())
      return released.promise.then(() => ({ result }))
    }
    const first = find(directory, query, 'cached')
    await asked.promise
    const told = heard(directory, touchesNetwork(networks.plain))
    server.setTopology(changed)
    await told
    released.resolve(undefined)
    t.equal((await first)[0]?.instanceId, instanceId(0x777))
    await untilLive(directory)
    t.equal((await find(directory, query, 'cached'))[0]?.instanceId, instanceId(0x777))
  })

  t.test('an interface that was pushed, and removed while there was no broker', async (t) => {
    const { server, relay, directory } = await opened(t, rabbit)
    t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
    await untilLive(directory)
    const rows = portRows(overlappingTopology())
    const isInterface = (row: (typeof rows)[number]): boolean => row['device_id'] === routers.plain
    const told = heard(directory, touchesNetwork(networks.plain))
    for (const row of rows.filter(isInterface)) {
      server.pushUpdated({ ...row, revision_number: 2 })
    }
    await told
    // The last of them has arrived when one that was sent after it has.
    const last = heard(directory, touchesNetwork(networks.twinOne))
    const other = rows.find((row) => row['network_id'] === networks.twinOne)
    if (other !== undefined) server.pushUpdated(other)
    await last

    await relay.cut()
    await until(() => !directory.readiness().ready)
    server.setRows(rows.filter((row) => !isInterface(row)))
    await relay.restore()
    await untilReady(directory)
    t.strictSame(await networksOf(directory, routers.plain, 'cached'), [])
  })
}

if (skipUnlessRabbitMq(t)) {
  const rabbit = await startRabbitMq()
  t.teardown(() => rabbit.close())
  tests(rabbit)
}
