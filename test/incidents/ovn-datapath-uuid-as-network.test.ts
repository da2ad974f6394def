// Neutron 17 and older put the UUID of the datapath's row into `X-OVN-Network-ID` and into the names of `ovnmeta-`
// namespaces: all their guests got 404. Right: a network is known by both ids, and a change is told under both.
import t from 'tap'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import { Cancellation } from '../../lib/runtime/cancellation.ts'
import { parseNetworkId } from '../../lib/identity/ids.ts'
import {
  guest,
  guests,
  networks,
  overlappingTopology,
  routers,
} from '../conformance/overlapping-topology.ts'
import { withPort, withoutPort } from '../conformance/port-questions.ts'
import { ip } from '../conformance/topology.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { FakeOvsdb } from '../support/fake-ovsdb.ts'
import { ovnDirectory } from '../support/ovn-directory.ts'
import { until } from '../support/until.ts'
import { rowUuid, southboundRows } from '../support/ovn-rows.ts'

t.test('a network is known by the UUID of its datapath as well', async (t) => {
  const fake = await FakeOvsdb.open()
  t.teardown(() => fake.close())
  fake.setTables(southboundRows(overlappingTopology()))
  const directory = ovnDirectory({ config: { ovn_sb_connection: [`unix:${fake.path}`] } })
  const resolver = new Resolver({
    directory,
    clock: systemClock,
    sourceMac: 'verify',
    cache: { max: 9, ttl: 60_000, maxNegative: 9, maxNegativePerScope: 9, ttlNegative: 500 },
    timeout: 5_000,
    maxLookups: 9,
    maxLookupsPerScope: 9,
  })
  t.teardown(async () => {
    resolver.close()
    await directory.close()
  })
  await directory.start()
  await until(() => directory.readiness().detail.includes('kept in step'))
  const named = async (datapath: string): Promise<unknown> => {
    const networkId = parseNetworkId(rowUuid(datapath))
    if (networkId === undefined) throw new TypeError('no id')
    const key = {
      scope: { kind: 'network', networkId } as const,
      sourceIp: ip('10.0.0.10'),
      sourceMac: guests.plain.macAddress,
    }
    const resolution = await resolver.resolve(key, new Cancellation())
    return resolution.kind === 'found' ? resolution.identity.instanceId : resolution.kind
  }
  t.equal(await named(networks.plain), guests.plain.instanceId)
  t.equal(await named(routers.plain), 'none', 'the datapath of a router is no network')
  t.equal(await named('no row of this name'), 'none')

  const successor = { ...guest(0x6aa, 'plain', '10.0.0.10'), macAddress: guests.plain.macAddress }
  const told = new Promise<void>((resolve) => {
    directory.onChange(() => resolve())
  })
  fake.setTables(
    southboundRows(withPort(withoutPort(overlappingTopology(), guests.plain), successor)),
  )
  await told
  t.equal(await named(networks.plain), successor.instanceId, 'nothing old is remembered')
})
