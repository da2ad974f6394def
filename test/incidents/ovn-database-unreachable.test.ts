// The southbound database could not be reached (refused, or a black hole) and a port's device changed: the old instance was
// named for five minutes, and leases were granted meanwhile. Right: after a few seconds 503, and no lease.
import t, { type Test } from 'tap'
import { LeaseIssuer } from '../../agent-side/leases/lease-issuer.ts'
import type { LookupKey } from '../../agent-side/resolve/resolution.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import { Cancellation } from '../../lib/runtime/cancellation.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import type { LeaseKey, LeaseNews } from '../../lib/wire/lease-messages.ts'
import { guests, networks, overlappingTopology } from '../conformance/overlapping-topology.ts'
import { ip } from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeOvsdb } from '../support/fake-ovsdb.ts'
import { ovnDirectory } from '../support/ovn-directory.ts'
import { until } from '../support/until.ts'
import { southboundRows } from '../support/ovn-rows.ts'

const key: LookupKey & LeaseKey = {
  scope: { kind: 'network', networkId: networks.plain },
  sourceIp: ip('10.0.0.10'),
  sourceMac: guests.plain.macAddress,
}

interface Stage {
  readonly fake: FakeOvsdb
  readonly clock: FakeClock
  readonly directory: ReturnType<typeof ovnDirectory>
  readonly named: () => Promise<string>
  readonly lease: () => LeaseNews | undefined
  readonly news: readonly LeaseNews[]
}

async function stage(t: Test): Promise<Stage> {
  const fake = await FakeOvsdb.open()
  t.teardown(() => fake.close())
  fake.setTables(southboundRows(overlappingTopology()))
  const clock = new FakeClock()
  const config = { ovn_sb_connection: [`unix:${fake.path}`] }
  const directory = ovnDirectory({ config, clock, random: () => 0.5 })
  const resolver = new Resolver({
    directory,
    clock,
    sourceMac: 'verify',
    cache: { max: 9, ttl: 10_000, maxNegative: 9, maxNegativePerScope: 9, ttlNegative: 500 },
    timeout: 1_000,
    maxLookups: 9,
    maxLookupsPerScope: 9,
  })
  const desk = new LeaseIssuer({
    verdicts: resolver,
    directory,
    upstreamsFor: () => [{ url: 'http://nova', insecure: false, headers: [] }],
    concurrency: { min: 1, max: 9 },
    clock,
    ttl: 300_000,
    oldest: 300_000,
    maxPerHolder: 9,
  })
  const news: LeaseNews[] = []
  const holder = desk.open((one) => news.push(one))
  t.teardown(async () => {
    desk.close()
    resolver.close()
    await directory.close()
  })
  await directory.start()
  await until(() => directory.readiness().detail.includes('kept in step'))
  return {
    fake,
    clock,
    directory,
    news,
    named: async () => {
      try {
        const resolution = await resolver.resolve(key, new Cancellation())
        return resolution.kind === 'found' ? resolution.identity.instanceId : resolution.kind
      } catch (thrown) {
        return thrown instanceof MetadataError ? thrown.code : String(thrown)
      }
    },
    lease: () => {
      holder.request(news.length, key)
      return news.at(-1)
    },
  }
}

const losses: Readonly<Record<string, (fake: FakeOvsdb) => Promise<void>>> = {
  refused: (fake) => fake.stop(),
  'black hole': async (fake) => {
    fake.isMute = true
  },
}

for (const [name, lose] of Object.entries(losses)) {
  t.test(
    `${name}: no instance is named from an old copy for long, and no lease of it lives`,
    async (t) => {
      const { fake, clock, directory, named, lease, news } = await stage(t)
      const { instanceId } = guests.plain
      t.equal(await named(), instanceId)
      t.match(lease(), { kind: 'lease' })
      await lose(fake)
      if (name === 'refused')
        await until(() => !directory.readiness().detail.includes('kept in step'))
      await clock.advance(4_500)
      t.equal(await named(), instanceId, 'for a moment, so that a restart costs nothing')
      t.match(lease(), { kind: 'refused' }, 'but no lease')
      await clock.advance(1_000)
      t.equal(await named(), 'directory_unavailable')
      t.equal(directory.readiness().ready, true, 'readiness has a limit of its own')
      t.ok(
        news.some(({ kind }) => kind === 'revoke_all'),
        'what was granted before is taken back',
      )
      await clock.advance(30_000)
      t.equal(directory.readiness().ready, false)
    },
  )
}
