import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import type { InstanceId, RouterId } from '../../lib/identity/ids.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import type { LookupKey, Resolution } from '../../agent-side/resolve/resolution.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import { holdPorts, numberedPort, type HeldKind } from './held-ports.ts'
import { reportOnDemand } from './bench-process.ts'

/** What to hold, and for how long to ask. */
export interface ResolverProgramOptions {
  readonly kind: HeldKind
  readonly ports: Count
  /** Of each of the two measurements, by the CPU time of the process. */
  readonly span: Milliseconds
}

/** Lookups by the clock, and by the CPU time of the whole process: the second does not mind what else the machine does. */
export interface LookupRate {
  readonly perSecond: number
  readonly perCpuSecond: number
}

/** What the program prints. */
export interface ResolverReport {
  readonly bytesPerPort: number
  readonly cached: LookupRate
  readonly uncached: LookupRate
  readonly wrong: Count
}

/** As many as one agent is asked about at a time; more than processor caches hold. */
const workingSet = 20_000
const lookupsPerBatch = 500

/** What a request's headers say, as bytes. */
interface AskedBytes {
  readonly routerId: Buffer
  readonly sourceIp: Buffer
  readonly sourceMac: Buffer
  readonly instanceId: InstanceId | undefined
}

interface AskedKey {
  readonly key: LookupKey
  readonly instanceId: InstanceId | undefined
}

/** Each request comes with texts of its own, which nobody has hashed yet and which are in no map. */
function asRequest({ routerId, sourceIp, sourceMac, instanceId }: AskedBytes): AskedKey {
  const scope: Scope = { kind: 'router', routerId: routerId.toString('latin1') as RouterId }
  const key = {
    scope,
    sourceIp: sourceIp.toString('latin1') as IpAddress,
    sourceMac: sourceMac.toString('latin1') as MacAddress,
  }
  return { key, instanceId }
}

function heapBytes(): number {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const options = JSON.parse(process.argv[2] ?? '{}') as ResolverProgramOptions
const before = heapBytes()
const directory = holdPorts(options.kind, options.ports)
const bytesPerPort = (heapBytes() - before) / options.ports
const step = Math.max(1, Math.floor(options.ports / workingSet))
const asked = Array.from({ length: Math.min(workingSet, options.ports) }, (_, index) => {
  const { port, lookupKey } = numberedPort((index * step) % options.ports)
  return {
    routerId: Buffer.from(lookupKey.scope.routerId),
    sourceIp: Buffer.from(lookupKey.sourceIp),
    sourceMac: Buffer.from(port.macAddress),
    instanceId: port.instanceId,
  }
})
let wrong = 0

function isOf(
  answer: Resolution | Promise<Resolution> | undefined,
  instanceId: InstanceId | undefined,
): boolean {
  if (answer === undefined || answer instanceof Promise || answer.kind !== 'found') return false
  return answer.identity.instanceId === instanceId
}

function batchFrom(first: Count): readonly AskedKey[] {
  const batch: AskedKey[] = []
  for (let turn = 0; turn < lookupsPerBatch; turn += 1) {
    const one = asked[(first + turn) % asked.length]
    if (one !== undefined) batch.push(asRequest(one))
  }
  return batch
}

/** @param max how many identities the resolver may remember; 1 makes it ask the directory each time */
function lookupRate(max: Count): LookupRate {
  const resolver = new Resolver({
    directory,
    clock: systemClock,
    sourceMac: 'prefer',
    cache: { max, ttl: 600_000, maxNegative: 8_192, maxNegativePerScope: 256, ttlNegative: 1_000 },
    timeout: 8_000,
    maxLookups: 10_000,
    maxLookupsPerScope: 10_000,
  })
  const asking = { signal: new AbortController().signal }
  // Reading requests and checking answers is not what is measured, so the clocks stand still meanwhile.
  const run = (span: Milliseconds): LookupRate => {
    let done = 0
    let elapsed = 0
    let cpu = 0
    // By the process's own time: on a busy machine the warm-up would be over before it had begun.
    while (cpu < span * 1_000) {
      const batch = batchFrom(done)
      const answers: (Resolution | Promise<Resolution>)[] = []
      const cpuBefore = process.cpuUsage()
      const begun = performance.now()
      for (const { key } of batch) answers.push(resolver.resolve(key, asking))
      elapsed += performance.now() - begun
      const { user, system } = process.cpuUsage(cpuBefore)
      cpu += user + system
      done += batch.length
      for (const [place, { instanceId }] of batch.entries()) {
        if (!isOf(answers[place], instanceId)) wrong += 1
      }
    }
    return { perSecond: (done * 1e3) / elapsed, perCpuSecond: (done * 1e6) / cpu }
  }
  run(options.span / 2)
  const rate = run(options.span)
  resolver.close()
  return rate
}

const uncached = lookupRate(1)
const cached = lookupRate(65_536)
reportOnDemand((): ResolverReport => ({ bytesPerPort, cached, uncached, wrong }))
