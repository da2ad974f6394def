import t, { type Test } from 'tap'
import { runningCloud } from './cloud.ts'
import { GuestNetworks, untilServed, type Flavour, type PlacedGuest } from './guest-networks.ts'
import { portsSections, startAgent } from './overlapd.ts'
import { addResult } from './results.ts'

const { place, guests } = runningCloud()
const path = '/openstack/latest/meta_data.json'

type Field = readonly [name: string, value: string]

/** Every header that means something to somebody between guest and Nova, with what would make `victim` of the guest. */
function forgeries(victim: PlacedGuest): readonly Field[] {
  const { instance } = victim.guest
  const { network, ovn } = victim.guest
  return [
    ['X-Neutron-Router-ID', network.routerId ?? network.id],
    ['x-NEUTRON-network-id', network.id],
    ['X-ovn-Network-ID', ovn.network.id],
    ['X-OVERLAPD-Source-Mac', instance.port.mac],
    ['x-overlapd-Reason', 'no_port'],
    ['X-Overlapd-Anything', instance.id],
    ['x-forwarded-FOR', '10.0.0.10'],
    ['X-Forwarded-For', '198.51.100.7'],
    ['X-Forwarded-Host', instance.id],
    ['Forwarded', 'for=10.0.0.10'],
    ['x-INSTANCE-id', instance.id],
    ['X-Instance-ID-Signature', '0'.repeat(64)],
    ['X-Tenant-ID', instance.projectId],
    ['X-Metadata-Provider', network.id],
    ['x-metadata-provider-SIGNATURE', '0'.repeat(64)],
    ['X-Request-ID', 'of-somebody-else'],
  ]
}

interface Outcome {
  readonly own: number
  readonly refused: Set<string>
}

async function forge(
  t: Test,
  networks: GuestNetworks,
  placed: PlacedGuest,
  fields: readonly Field[],
  outcome: { own: number; refused: Set<string> },
): Promise<void> {
  const answer = await networks.ask(placed, path, { fields })
  const names = fields.map(([name]) => name).join(', ')
  if (answer.status === 200) {
    const { uuid } = JSON.parse(answer.body.toString()) as { readonly uuid: string }
    t.equal(uuid, placed.guest.instance.id, `${placed.guest.name} gets its own with ${names}`)
    outcome.own += 1
    return
  }
  const reason = answer.field('x-overlapd-reason')
  t.ok(
    answer.status >= 400 && answer.status < 500 && reason !== undefined,
    `${placed.guest.name} is refused for ${reason} with ${names}: ${answer.status}`,
  )
  outcome.refused.add(`${answer.status} ${reason}`)
}

for (const [flavour, ports] of [
  ['ml2', portsSections.neutronRest(place)],
  ['ovn', portsSections.ovn(place, { report_agent: false })],
] as const satisfies readonly (readonly [Flavour, object])[]) {
  t.test(
    `behind a genuine haproxy of flavour ${flavour}, no header makes another guest`,
    async (t) => {
      const agent = startAgent(t, place, { ports })
      const networks = await GuestNetworks.make(t, place, guests, flavour)
      networks.setRules(true)
      await agent.untilReady()
      const stop = await networks.startHaproxies(agent.socketOf(flavour))
      t.teardown(stop)
      for (const { served } of networks.guests) {
        await untilServed(networks, place, `haproxy-${served}`)
      }
      const outcome: Outcome & { own: number } = { own: 0, refused: new Set() }
      await Promise.all(
        networks.guests.map(async (placed, index) => {
          const victim = networks.guests[(index + 1) % networks.guests.length] ?? placed
          const all = forgeries(victim)
          for (const field of all) {
            await forge(t, networks, placed, [field], outcome)
            await forge(t, networks, placed, [field, field, ['x', 'y'], field], outcome)
          }
          await forge(t, networks, placed, all, outcome)
          await forge(t, networks, placed, [...all, ...all.toReversed()], outcome)
          const harmless = await networks.ask(placed, path, {
            fields: [['X-Forwarded-For', '192.0.2.200']],
          })
          t.equal(harmless.status, 200, 'an X-Forwarded-For of its own does no harm')
        }),
      )
      t.ok(outcome.own > 0, 'some of these requests are served')
      addResult(place, 'Forged headers through a genuine haproxy', {
        flavour,
        'own document': outcome.own,
        refused: [...outcome.refused].join(', ') || 'none',
        "another guest's document": 0,
      })
    },
  )
}
