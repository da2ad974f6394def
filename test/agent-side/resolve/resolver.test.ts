import t from 'tap'
import { Resolver, type ResolverOptions } from '../../../agent-side/resolve/resolver.ts'
import type { LookupKey, Resolution } from '../../../agent-side/resolve/resolution.ts'
import { Trace } from '../../../agent-side/resolve/trace.ts'
import type { Port } from '../../../agent-side/ports/directory/port-directory.ts'
import { Cancellation } from '../../../lib/runtime/cancellation.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import { parsePortId } from '../../../lib/identity/ids.ts'
import { parseIngressPort } from '../../../lib/identity/ingress-port.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ScriptedDirectory } from '../../support/scripted-directory.ts'

const network = networkId(1)
const address = '10.0.0.10'

function port(number: number, changes: Partial<Port> = {}): Port {
  return {
    portId: portId(number),
    networkId: network,
    macAddress: mac(number),
    fixedIps: [ip(address)],
    instanceId: instanceId(number),
    projectId: projectId(1),
    ...changes,
  }
}

function key(sourceMac?: number, sourceIp = address): LookupKey {
  return {
    scope: { kind: 'network', networkId: network },
    sourceIp: ip(sourceIp),
    ...(sourceMac !== undefined && { sourceMac: mac(sourceMac) }),
  }
}

const viaRouter: LookupKey = { ...key(0xa), scope: { kind: 'router', routerId: routerId(1) } }

function nobodyLeaves(): Cancellation {
  return new Cancellation()
}

function subject(options: Partial<ResolverOptions> & { readonly answersAtOnce?: boolean } = {}): {
  clock: FakeClock
  directory: ScriptedDirectory
  resolver: Resolver
} {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock, options)
  directory.setRouter(routerId(1), [network])
  directory.setPorts(port(0xa))
  directory.remember()
  const resolver = new Resolver({
    directory,
    clock,
    sourceMac: 'prefer',
    cache: { max: 100, ttl: 10_000, maxNegative: 100, maxNegativePerScope: 3, ttlNegative: 1_000 },
    timeout: 10_000,
    maxLookups: 50,
    maxLookupsPerScope: 50,
    ...options,
  })
  return { clock, directory, resolver }
}

function instanceOf(resolution: Resolution): string {
  return resolution.kind === 'found' ? resolution.identity.instanceId : resolution.reason
}

async function ask(resolver: Resolver, lookupKey: LookupKey): Promise<string> {
  return instanceOf(await resolver.resolve(lookupKey, nobodyLeaves()))
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (cause) {
    return cause instanceof MetadataError ? cause.code : String(cause)
  }
}

t.test('resolve() answers from the cache without a promise', async (t) => {
  const { directory, resolver } = subject()
  await ask(resolver, key(0xa))

  const again = resolver.resolve(key(0xa), nobodyLeaves())

  t.notOk(again instanceof Promise)
  t.equal(!(again instanceof Promise) && instanceOf(again), instanceId(0xa))
  t.equal(directory.asked.length, 1)
})

t.test('resolve() needs no promise with a directory that answers at once', async (t) => {
  const { resolver } = subject({ answersAtOnce: true })
  const first = resolver.resolve(viaRouter, nobodyLeaves())
  t.equal(!(first instanceof Promise) && instanceOf(first), instanceId(0xa))
})

t.test('resolve() finds the networks of a router first', async (t) => {
  const { directory, resolver } = subject()
  t.equal(await ask(resolver, viaRouter), instanceId(0xa))
  t.strictSame(
    directory.asked.map((one) => one.question),
    ['networks', 'ports'],
  )
})

t.test('resolve() looks up no ports when a router has no networks', async (t) => {
  const { directory, resolver } = subject()
  directory.setRouter(routerId(1), [])
  directory.remember()
  t.equal(await ask(resolver, viaRouter), 'no_network')
  t.equal(directory.questions('ports'), 0)
})

t.test('resolve() makes one question of many askers', async (t) => {
  const { directory, resolver } = subject()
  const release = directory.hold()
  const askers = Array.from({ length: 100 }, () => ask(resolver, key(0xa)))
  release()
  t.strictSame([...new Set(await Promise.all(askers))], [instanceId(0xa)])
  t.equal(directory.asked.length, 1)
})

t.test('resolve() counts the age of an identity from when the source sent it', async (t) => {
  const { clock, directory, resolver } = subject()
  await clock.advance(6_000)
  await ask(resolver, key(0xa))
  await clock.advance(4_000)
  t.equal(await ask(resolver, key(0xa)), instanceId(0xa))
  t.equal(directory.asked.length, 1)

  await clock.advance(1)
  await ask(resolver, key(0xa))
  await ask(resolver, key(0xa))

  t.equal(directory.asked.length, 3, 'an answer as old as that is not kept')
})

t.test('resolve() trusts an absent port only from a fresh answer', async (t) => {
  const { directory, resolver } = subject()
  directory.setPorts(port(0xb, { fixedIps: [ip('10.0.0.11')] }))
  t.equal(await ask(resolver, key(0xb, '10.0.0.11')), instanceId(0xb))
  t.equal(directory.questions('ports', 'fresh'), 1)
})

t.test('resolve() remembers a refusal for a very short time', async (t) => {
  const { clock, directory, resolver } = subject()
  t.equal(await ask(resolver, key(0xb, '10.0.0.11')), 'no_port')
  directory.setPorts(port(0xb, { fixedIps: [ip('10.0.0.11')] }))
  t.equal(await ask(resolver, key(0xb, '10.0.0.11')), 'no_port')
  await clock.advance(1_001)
  t.equal(await ask(resolver, key(0xb, '10.0.0.11')), instanceId(0xb))
})

t.test('resolve() keeps few refusals of one scope, and the newest', async (t) => {
  const { resolver, directory } = subject()
  for (const last of [1, 2, 3, 4, 5]) await ask(resolver, key(0xa, `10.0.1.${last}`))
  t.equal(resolver.cacheSize.refused, 3)
  const before = directory.asked.length
  await ask(resolver, key(0xa, '10.0.1.5'))
  t.equal(directory.asked.length, before)
})

t.test('resolve() recognizes a reused address by its new MAC at once', async (t) => {
  const { directory, resolver } = subject()
  t.equal(await ask(resolver, key(0xa)), instanceId(0xa))
  directory.deletePort(portId(0xa))
  directory.setPorts(port(0xb))
  t.equal(await ask(resolver, key(0xb)), instanceId(0xb), 'nothing told us, cached answers are old')
})

t.test('resolve() forgets who had an address once another has it', async (t) => {
  const { clock, directory, resolver } = subject()
  t.equal(await ask(resolver, key()), instanceId(0xa), 'without a MAC')
  t.equal(await ask(resolver, key(0x99)), instanceId(0xa), 'routed')
  directory.deletePort(portId(0xa))
  directory.setPorts(port(0xb))
  await clock.advance(1)
  t.equal(await ask(resolver, key(0xb)), instanceId(0xb))
  directory.remember()
  t.equal(await ask(resolver, key()), instanceId(0xb))
  t.equal(await ask(resolver, key(0x99)), 'source_mac_conflict', 'it is on the link, not routed')
})

t.test('resolve() takes no machine of a deleted port for a routed guest', async (t) => {
  const { clock, directory, resolver } = subject()
  t.equal(await ask(resolver, key(0xa)), instanceId(0xa))
  directory.deletePort(portId(0xa))
  directory.setPorts(port(0xb))
  directory.remember()
  directory.tell({ kind: 'network', networkId: network })
  t.equal(await ask(resolver, key(0xa)), 'source_mac_conflict', 'still plugged in')
  t.equal(await ask(resolver, key(0x99)), instanceId(0xb), 'routed')
  clock.pass(3_600_001)
  t.equal(await ask(resolver, key(0xa)), instanceId(0xb), 'not for ever')
})

t.test(
  'resolve() takes no guest for a routed one in the place of a machine it has seen',
  async (t) => {
    const { clock, directory, resolver } = subject()
    t.equal(await ask(resolver, key(0x99)), instanceId(0xa), 'routed, as far as anybody knows')
    t.equal(await ask(resolver, key(0xa)), instanceId(0xa), 'and on the link after all')
    t.equal(await ask(resolver, key(0x98)), 'source_mac_conflict', 'with a MAC that no port has')
    t.equal(
      await ask(resolver, { ...viaRouter, sourceMac: mac(0x98) }),
      'source_mac_conflict',
      'nor over a router, which may be a stranger’s own on a network that is shared',
    )
    directory.deletePort(portId(0xa))
    directory.setPorts(port(0xb))
    directory.remember()
    directory.tell({ kind: 'network', networkId: network })
    t.equal(await ask(resolver, key(0x98)), instanceId(0xb), 'the next port of the address is new')
    t.equal(await ask(resolver, key(0xb)), instanceId(0xb))
    clock.pass(24 * 3_600_000 + 1)
    t.equal(await ask(resolver, key(0x97)), instanceId(0xb), 'not for ever')
  },
)

t.test('resolve() refuses a MAC of one port with the address of another', async (t) => {
  const { directory, resolver } = subject()
  directory.setPorts(port(0xb, { fixedIps: [ip('10.0.0.11')] }))
  directory.remember()
  t.equal(await ask(resolver, key(0xb)), 'source_mac_conflict')
  t.equal(directory.questions('ports', 'fresh'), 1)
})

t.test('resolve() forgets what a change touches, and nothing else', async (t) => {
  const { directory, resolver } = subject()
  await ask(resolver, viaRouter)
  directory.asked.length = 0

  directory.tell({ kind: 'network', networkId: networkId(9) })
  directory.tell({ kind: 'router', routerId: routerId(9) })
  await ask(resolver, viaRouter)
  t.equal(directory.asked.length, 0)

  for (const change of [
    { kind: 'network', networkId: network },
    { kind: 'router', routerId: routerId(1) },
    { kind: 'all', why: 'the source came back' },
  ] as const) {
    directory.asked.length = 0
    directory.tell(change)
    await ask(resolver, viaRouter)
    t.equal(directory.asked.length, 2, change.kind)
  }
})

t.test('resolve() looks up again when something changed meanwhile', async (t) => {
  const { directory, resolver } = subject()
  const release = directory.hold()
  const answer = ask(resolver, key(0xa))
  directory.setPorts(port(0xa, { instanceId: instanceId(7) }))
  directory.remember()
  directory.tell({ kind: 'network', networkId: network })
  release()
  t.equal(await answer, instanceId(7))
})

t.test('resolve() gives up when changes do not end', async (t) => {
  const { directory, resolver } = subject()
  const find = directory.findPorts.bind(directory)
  directory.findPorts = (query, asked) => {
    const answer = find(query, asked)
    directory.tell({ kind: 'network', networkId: network })
    return answer
  }
  t.equal(await codeOf(ask(resolver, key(0xa))), 'mapping_changed')
  t.equal(directory.asked.length, 3)
})

t.test(
  'resolve() passes on that the directory cannot be queried, and remembers nothing',
  async (t) => {
    const { directory, resolver } = subject()
    directory.failWith(new MetadataError('directory_unavailable', 'Cannot ask'))
    t.equal(await codeOf(ask(resolver, key(0xa))), 'directory_unavailable')
    directory.failWith()
    t.equal(await ask(resolver, key(0xa)), instanceId(0xa))
  },
)

t.test(
  'resolve() serves known identities while the directory is away, up to their age',
  async (t) => {
    const { clock, directory, resolver } = subject()
    await ask(resolver, key(0xa))
    directory.failWith(new MetadataError('directory_unavailable', 'Cannot ask'))
    await clock.advance(10_000)
    t.equal(await ask(resolver, key(0xa)), instanceId(0xa))
    await clock.advance(1)
    t.equal(await codeOf(ask(resolver, key(0xa))), 'directory_unavailable')
  },
)

t.test('resolve() does not wait for ever', async (t) => {
  const { clock, directory, resolver } = subject()
  directory.hold()
  const answer = codeOf(ask(resolver, key(0xa)))
  await clock.advance(10_000)
  t.equal(await answer, 'directory_timeout')
  t.equal(resolver.openQueries, 0)
})

t.test('resolve() lets one caller leave and the others stay', async (t) => {
  const { directory, resolver } = subject()
  const release = directory.hold()
  const leaving = new Cancellation()
  const left = codeOf(Promise.resolve(resolver.resolve(key(0xa), leaving)))
  const stays = ask(resolver, key(0xa))
  leaving.cancel(new Error('The guest left'))
  t.equal(await left, 'Error: The guest left')
  release()
  t.equal(await stays, instanceId(0xa))
})

t.test('resolve() gives a query up when every caller has left', async (t) => {
  const { directory, resolver } = subject()
  const signals: AbortSignal[] = []
  const find = directory.findPorts.bind(directory)
  directory.findPorts = (query, asked) => {
    signals.push(asked.signal)
    return find(query, asked)
  }
  directory.hold()
  const leaving = new Cancellation()
  const left = codeOf(Promise.resolve(resolver.resolve(key(0xa), leaving)))
  leaving.cancel(new Error('The guest left'))
  await left
  t.equal(signals[0]?.aborted, true)
  t.equal(resolver.openQueries, 0)
})

t.test('resolve() refuses more open questions than it may hold', async (t) => {
  const { directory, resolver } = subject({ maxLookups: 2 })
  const release = directory.hold()
  const first = ask(resolver, key(0xa))
  const second = ask(resolver, key(0xb))
  t.equal(await codeOf((async () => ask(resolver, key(0xc)))()), 'overloaded')
  release()
  await Promise.all([first, second])
})

t.test('forget() makes the next answer a new one', async (t) => {
  const { directory, resolver } = subject()
  await ask(resolver, key(0xa))
  directory.setPorts(port(0xa, { instanceId: instanceId(7) }))
  directory.remember()
  resolver.forget(key(0xa))
  t.equal(await ask(resolver, key(0xa)), instanceId(7))
})

t.test('resolve() queries the source itself when a fresh answer is wanted', async (t) => {
  const { directory, resolver } = subject()
  await ask(resolver, key(0xa))
  directory.setPorts(port(0xa, { instanceId: instanceId(7) }))
  const fresh = await resolver.resolve(key(0xa), {
    signal: nobodyLeaves().signal,
    freshness: 'fresh',
  })
  t.equal(instanceOf(fresh), instanceId(7))
  t.equal(await ask(resolver, key(0xa)), instanceId(7), 'and remembers it')
})

t.test('resolve() counts a remembered answer that would have been wrong', async (t) => {
  let fenced = 0
  const observer = {
    answeredFromCache: () => undefined,
    queried: () => undefined,
    resolved: () => undefined,
    staleAnswerFenced: () => (fenced += 1),
  }
  const { directory, resolver } = subject({ observer })
  directory.deletePort(portId(0xa))
  directory.setPorts(port(0xb))
  t.equal(await ask(resolver, key(0xb)), instanceId(0xb))
  t.equal(fenced, 1)
})

t.test('resolve() records each step when it is given a trace', async (t) => {
  const { clock, resolver } = subject()
  const trace = new Trace(clock)
  await resolver.resolve(viaRouter, { signal: nobodyLeaves().signal, trace })
  t.strictSame(
    trace.steps.map((step) => step.step),
    ['cache', 'networks', 'ports', 'decide'],
  )
  t.match(trace.steps.at(-1)?.detail, { kind: 'found', basis: 'address_and_mac' })
})

t.test('close() stops listening for changes', async (t) => {
  const { directory, resolver } = subject()
  await ask(resolver, key(0xa))
  resolver.close()
  directory.tell({ kind: 'all', why: 'closing' })
  await ask(resolver, key(0xa))
  t.equal(directory.asked.length, 1)
})

t.test(
  'resolve() queries once past the cache for an ingress port that is not known, then refuses',
  async (t) => {
    const { directory, resolver } = subject()
    const ingressPort = parseIngressPort('12345678-9a')
    const through: LookupKey = { ...viaRouter, ingressPort }
    t.equal(await ask(resolver, through), 'ingress_port_unknown')
    t.equal(directory.questions('networks', 'cached'), 1)
    t.equal(directory.questions('networks', 'fresh'), 1)
    t.equal(directory.questions('ports'), 0, 'never all networks instead')

    const portOfRouter = parsePortId('12345678-9abc-4000-8000-000000000001')
    directory.setInterfaces(routerId(1), [
      { networkId: network, ...(portOfRouter && { portId: portOfRouter }) },
    ])
    directory.tell({ kind: 'router', routerId: routerId(1) })
    t.equal(await ask(resolver, through), instanceId(0xa), 'the source knows it now')
  },
)
