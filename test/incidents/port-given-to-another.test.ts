// A port's device_id changed from A to B while MAC and address stayed, and neutron-rest went on with A's metadata for 10 s, even with
// `max_age: 0s`. Right: at most 2 s, and not at all with `max_age: 0s` or `source_mac: verify`.
import t, { type Test } from 'tap'
import { neutronRestDefaults } from '../../agent-side/ports/neutron-rest/config.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import { guests, networks, overlappingTopology } from '../conformance/overlapping-topology.ts'
import { withPort } from '../conformance/port-questions.ts'
import { instanceId, ip } from '../conformance/topology.ts'
import { neutronRestSubject } from '../support/neutron-rest-subject.ts'

const another = instanceId(0x777)

interface Case {
  readonly sourceMac: SourceMacPolicy
  readonly maxAge?: number
  readonly late: number
}

async function ownerAfterChange(
  t: Test,
  { sourceMac, maxAge = neutronRestDefaults.maxAge, late }: Case,
) {
  const { neutron, directory, clock, driven } = await neutronRestSubject(t, {
    config: () => ({ maxAge }),
  })
  const resolver = new Resolver({
    directory,
    clock,
    sourceMac,
    cache: {
      max: 100,
      ttl: 10_000,
      maxNegative: 100,
      maxNegativePerScope: 100,
      ttlNegative: 1_000,
    },
    timeout: 8_000,
    maxQuestions: 100,
    maxQuestionsPerScope: 100,
  })
  t.teardown(() => resolver.close())
  const key = {
    scope: { kind: 'network', networkId: networks.plain },
    sourceIp: ip('10.0.0.10'),
    sourceMac: guests.plain.macAddress,
  } as const
  const owner = async (): Promise<string | undefined> => {
    const asking = { signal: new AbortController().signal }
    const resolution = await driven(resolver.resolve(key, asking))
    return resolution.kind === 'found' ? resolution.identity.instanceId : undefined
  }
  t.equal(await owner(), guests.plain.instanceId)
  neutron.ports.set(withPort(overlappingTopology(), { ...guests.plain, instanceId: another }))
  clock.pass(late)
  return owner()
}

t.test('2 s after the change it is known', async (t) => {
  t.equal(await ownerAfterChange(t, { sourceMac: 'prefer', late: 2_001 }), another)
})

t.test('with verify it is known at once', async (t) => {
  t.equal(await ownerAfterChange(t, { sourceMac: 'verify', late: 1 }), another)
})

t.test('with max_age 0 it is known at once', async (t) => {
  t.equal(await ownerAfterChange(t, { sourceMac: 'prefer', maxAge: 0, late: 1 }), another)
})
