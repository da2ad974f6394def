import t from 'tap'
import { StaticPortIndex } from '../../../../agent-side/ports/static/port-index.ts'
import type { Port, PortQuery } from '../../../../agent-side/ports/directory/port-directory.ts'
import { SeededRandom } from '../../../support/random.ts'
import { ip, mac, networkId, portId } from '../../../conformance/topology.ts'

/** What the index must find, by looking at every port. */
function scan(ports: readonly Port[], query: PortQuery): readonly Port[] {
  return ports.filter(
    (port) =>
      query.networkIds.includes(port.networkId) &&
      ((query.fixedIp !== undefined && port.fixedIps.includes(query.fixedIp)) ||
        (query.macAddress !== undefined && port.macAddress === query.macAddress)),
  )
}

function byId(ports: readonly Port[]): readonly string[] {
  return ports.map((port) => port.portId).toSorted()
}

t.test('PortIndex finds exactly what a look at every port finds', async (t) => {
  let found = 0
  for (let seed = 1; seed <= 40; seed += 1) {
    const numbers = new SeededRandom(seed)
    const random = (limit: number): number => numbers.below(limit)
    // Few addresses and networks, so that nearly everything overlaps.
    const address = () => ip(random(4) === 0 ? `fd00::${random(6) + 1}` : `10.0.0.${random(12)}`)
    const ports = Array.from({ length: random(60) }, (_, index): Port => ({
      portId: portId(index),
      networkId: networkId(random(4)),
      macAddress: mac(random(30)),
      fixedIps: Array.from({ length: random(4) }, address),
    }))
    const index = new StaticPortIndex(ports)
    for (let question = 0; question < 100; question += 1) {
      const query: PortQuery = {
        networkIds: Array.from({ length: random(4) }, () => networkId(random(5))),
        ...(random(3) > 0 && { fixedIp: address() }),
        ...(random(2) > 0 && { macAddress: mac(random(30)) }),
      }
      const expected = byId(scan(ports, query))
      found += expected.length
      const actual = byId(index.find(query))
      if (JSON.stringify(actual) !== JSON.stringify(expected)) {
        t.strictSame(actual, expected, `seed ${seed}: ${JSON.stringify(query)}`)
      }
    }
  }
  t.ok(found > 1_000, 'the questions had answers')
})

t.test('PortIndex notes shared addresses, and few of them', async (t) => {
  const ports = Array.from({ length: 50 }, (_, index): Port => ({
    portId: portId(index),
    networkId: networkId(1),
    macAddress: mac(index),
    fixedIps: [ip('10.0.0.1'), ip('10.0.0.1')],
  }))
  t.strictSame(
    new StaticPortIndex(ports.slice(0, 1)).shared,
    [],
    'an address twice on one port is its own',
  )
  t.equal(new StaticPortIndex(ports).shared.length, 10)
})
