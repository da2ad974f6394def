/** Which functions take the time of a process, in a stretch of a profile? */

/** What V8 writes, as far as it is read here. @see https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  /** Microseconds of the monotonic clock, as are the deltas. */
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Microseconds of the monotonic clock. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

export interface SelfTime {
  /** `function file:line`, or V8's word for what is no function: `(garbage collector)`, `(program)`. */
  readonly where: string
  /** Share of the time in which the thread did not wait. */
  readonly share: number
}

/** @param profiles of processes that do the same work @returns the largest first; empty when there is no sample in the stretch */
export function selfTimes(profiles: readonly CpuProfile[], stretch: Stretch): readonly SelfTime[] {
  const counts = new Map<string, number>()
  for (const profile of profiles) countSamples(profile, stretch, counts)
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
  return [...counts]
    .map(([where, count]) => ({ where, share: count / all }))
    .toSorted((one, other) => other.share - one.share)
}

function countSamples(
  { nodes, startTime, samples, timeDeltas }: CpuProfile,
  { from, to }: Stretch,
  counts: Map<string, number>,
): void {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]))
  let now = startTime
  for (const [index, id] of samples.entries()) {
    now += timeDeltas[index] ?? 0
    const where = places.get(id) ?? '(unknown)'
    if (now < from || now > to || where === '(idle)') continue
    // Samples are counted, not their spans: one that came late was waiting for a processor.
    counts.set(where, (counts.get(where) ?? 0) + 1)
  }
}

function placeOf(frame: CpuProfile['nodes'][number]['callFrame']): string {
  const { functionName, url, lineNumber } = frame
  if (url === '' && functionName.startsWith('(')) return functionName
  const file = url.replace(/^.*\/(?:dist|node_modules)\//, '')
  return `${functionName === '' ? '(anonymous)' : functionName} ${file}:${lineNumber + 1}`
}
