// A port's device_id changed from A to B while MAC and address stayed, and neutron-rest, and neutron-rpc without pushes, went on with A's
// metadata for 10 s, even with `max_age: 0s`. Right: at most 2 s, and not at all with `max_age: 0s` or `source_mac: verify`.
import { neutronRpcDefaults } from '../support/neutron-defaults.ts'
import t, { type Test } from 'tap'
import { NeutronRpcDirectory } from '../../agent-side/ports/neutron-rpc/directory.ts'
import type { PortDirectory } from '../../agent-side/ports/directory/port-directory.ts'
import { createRegistry } from '../../lib/observe/metrics.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { portRows } from '../support/fake-neutron-rpc.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import { guests, networks, overlappingTopology } from '../conformance/overlapping-topology.ts'
import { withPort } from '../conformance/port-questions.ts'
import { instanceId, ip, type Topology } from '../conformance/topology.ts'
import { neutronRestSubject } from '../support/neutron-rest-subject.ts'

const another = instanceId(0x777)
const defaultMaxAge = 2_000

interface Case {
  readonly sourceMac: SourceMacPolicy
  readonly maxAge?: number
  readonly late: number
}

/** A cloud, and a directory that is never told of its changes. */
interface Subject {
  readonly directory: PortDirectory
  readonly clock: FakeClock
  readonly setTopology: (topology: Topology) => void
  readonly driven: <Value>(work: Value | Promise<Value>) => Promise<Value>
}

type OpenSubject = (t: Test, maxAge: number) => Promise<Subject>

async function overRest(t: Test, maxAge: number): Promise<Subject> {
  const subject = await neutronRestSubject(t, { config: () => ({ maxAge }) })
  return { ...subject, setTopology: (topology) => subject.neutron.ports.set(topology) }
}

/** With `push: false`; a plugin other than ML2 does the same. */
async function overRpc(t: Test, maxAge: number): Promise<Subject> {
  const clock = new FakeClock()
  let rows = portRows(overlappingTopology())
  const directory = new NeutronRpcDirectory(
    {
      ...neutronRpcDefaults,
      transportUrl: new Secret('rabbit://u:p@h/'),
      push: false,
      maxAge,
      reportInterval: 0,
    },
    {
      clock,
      logger: silentLogger,
      registry: createRegistry(),
      bus: ({ events }) => ({
        rpc: { call: () => Promise.resolve(null), cast: () => Promise.resolve() },
        lastProblem: '',
        start: () => events.up(),
        close: () => Promise.resolve(),
        probe: () => Promise.resolve('received'),
        getPorts: ({ network_id: wanted }) =>
          Promise.resolve(
            rows.filter((row) => (wanted as readonly unknown[]).includes(row['network_id'])),
          ),
      }),
    },
  )
  t.teardown(() => directory.close())
  await directory.start()
  const setTopology = (topology: Topology): void => void (rows = portRows(topology))
  return { directory, clock, setTopology, driven: async (work) => await work }
}

async function ownerAfterChange(
  t: Test,
  open: OpenSubject,
  { sourceMac, maxAge = defaultMaxAge, late }: Case,
) {
  const { directory, clock, driven, setTopology } = await open(t, maxAge)
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
    maxLookups: 100,
    maxLookupsPerScope: 100,
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
  setTopology(withPort(overlappingTopology(), { ...guests.plain, instanceId: another }))
  clock.pass(late)
  return owner()
}

for (const [kind, open] of [
  ['neutron-rest', overRest],
  ['neutron-rpc without pushes', overRpc],
] as const) {
  t.test(`${kind}: 2 s after the change it is known`, async (t) => {
    t.equal(await ownerAfterChange(t, open, { sourceMac: 'prefer', late: 2_001 }), another)
  })

  t.test(`${kind}: with verify it is known at once`, async (t) => {
    t.equal(await ownerAfterChange(t, open, { sourceMac: 'verify', late: 1 }), another)
  })

  t.test(`${kind}: with max_age 0 it is known at once`, async (t) => {
    const known = await ownerAfterChange(t, open, { sourceMac: 'prefer', maxAge: 0, late: 1 })
    t.equal(known, another)
  })
}
