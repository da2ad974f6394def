import type { Count, Milliseconds } from '../../lib/clock.ts'
import { systemClock } from '../../lib/clock.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import { holdPorts, numberedPort, type HeldKind } from './held-ports.ts'
import { reportOnDemand } from './bench-process.ts'

/** What to hold, and for how long to ask. */
export interface ResolverProgramOptions {
  readonly kind: HeldKind
  readonly ports: Count
  /** Of each of the two measurements. */
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
const lookupsBetweenLooks = 500

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
  return { key: lookupKey, instanceId: port.instanceId }
})
let wrong = 0

/** @param max how many identities the resolver may remember; 1 makes it ask the directory each time */
function lookupRate(max: Count): LookupRate {
  const resolver = new Resolver({
    directory,
    clock: systemClock,
    sourceMac: 'prefer',
    cache: { max, ttl: 600_000, maxNegative: 8_192, maxNegativePerScope: 256, ttlNegative: 1_000 },
    timeout: 8_000,
    maxQuestions: 10_000,
    maxQuestionsPerScope: 10_000,
  })
  const asking = { signal: new AbortController().signal }
  const run = (span: Milliseconds): LookupRate => {
    const begun = performance.now()
    const before = process.cpuUsage()
    let done = 0
    while (performance.now() - begun < span) {
      for (let turn = 0; turn < lookupsBetweenLooks; turn += 1, done += 1) {
        const one = asked[done % asked.length]
        if (one === undefined) continue
        const resolution = resolver.resolve(one.key, asking)
        const isRight =
          !(resolution instanceof Promise) &&
          resolution.kind === 'found' &&
          resolution.identity.instanceId === one.instanceId
        if (!isRight) wrong += 1
      }
    }
    const { user, system } = process.cpuUsage(before)
    return {
      perSecond: (done * 1e3) / (performance.now() - begun),
      perCpuSecond: (done * 1e6) / (user + system),
    }
  }
  run(options.span / 2)
  const rate = run(options.span)
  resolver.close()
  return rate
}

const uncached = lookupRate(1)
const cached = lookupRate(65_536)
reportOnDemand((): ResolverReport => ({ bytesPerPort, cached, uncached, wrong }))
