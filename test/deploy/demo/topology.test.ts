import t from 'tap'
import { planTopology, scopeOf } from '../../../deploy/demo/topology.ts'

t.test(
  'planTopology() gives every network the same first address and no two guests the same MAC',
  async (t) => {
    const { networks } = planTopology({ networks: 5, guests: 12, run: 'ovd1' })
    const guests = networks.flatMap((network) => network.guests)

    t.equal(networks.length, 5)
    t.equal(guests.length, 12)
    t.ok(networks.every(({ guests: [first] }) => first?.ip === '10.0.0.10'))
    for (const part of ['mac', 'portId', 'instanceId', 'netns'] as const) {
      t.equal(new Set(guests.map((guest) => guest[part])).size, 12, part)
    }
    t.ok(guests.every(({ netns }) => netns.startsWith('ovd1-')))
  },
)

t.test('planTopology() leaves the last of three or more networks without a router', async (t) => {
  const kinds = (networks: number): (string | undefined)[] =>
    planTopology({ networks, guests: networks, run: 'ovd1' }).networks.map(
      (network) => scopeOf(network).kind,
    )

  t.strictSame(kinds(1), ['router'])
  t.strictSame(kinds(2), ['router', 'router'])
  t.strictSame(kinds(3), ['router', 'router', 'network'])
})

t.test('planTopology() gives each network a guest even when fewer are requested', async (t) => {
  const { networks } = planTopology({ networks: 4, guests: 1, run: 'ovd1' })

  t.ok(networks.every(({ guests }) => guests.length === 1))
})

t.test('planTopology() refuses more guests than a network holds', async (t) => {
  t.throws(() => planTopology({ networks: 1, guests: 201, run: 'ovd1' }), {
    message: /at most 200 fit on one/,
  })
})
