/** Does a quantity grow, or is it noise? */

/** One life of a process: times in minutes, with the value at each. */
export type Series = readonly (readonly [minutes: number, value: number])[]

/** A trend over all lives of a process together. */
export interface Slope {
  /** Per minute. */
  readonly perMinute: number
  /** Standard error of that. */
  readonly noise: number
  readonly samples: number
  /** Minutes that were watched, all lives together. */
  readonly minutes: number
}

/** Of each life, the part in which caches fill and code is compiled. */
const warmUp = 1 / 3

/**
 * Least squares with one slope for all lives and a level for each, so that a restart is neither growth nor shrinking. The first
 * third of each life does not count.
 * @returns `undefined` when there are too few samples for any slope
 */
export function slopeOf(lives: readonly Series[]): Slope | undefined {
  const settled = lives.map((life) => life.slice(Math.floor(life.length * warmUp)))
  const used = settled.filter((life) => life.length >= 3)
  let samples = 0
  let minutes = 0
  let product = 0
  let square = 0
  const centred: (readonly [time: number, value: number])[] = []
  for (const life of used) {
    const time = mean(life.map(([at]) => at))
    const level = mean(life.map(([, value]) => value))
    samples += life.length
    minutes += (life.at(-1)?.[0] ?? 0) - (life[0]?.[0] ?? 0)
    for (const [at, value] of life) {
      product += (at - time) * (value - level)
      square += (at - time) ** 2
      centred.push([at - time, value - level])
    }
  }
  const freedom = samples - used.length - 1
  if (freedom < 1 || square === 0) return undefined
  const perMinute = product / square
  const residue = centred.reduce((sum, [at, value]) => sum + (value - perMinute * at) ** 2, 0)
  return { perMinute, noise: Math.sqrt(residue / freedom / square), samples, minutes }
}

/** How many times its own noise a slope must be to count. */
const clearly = 4
/** Fewer samples than these show nothing. */
const enoughSamples = 12

/** @param least growth in the whole time below which nobody would notice */
export function isGrowth(slope: Slope, least: number): boolean {
  const { perMinute, noise, samples, minutes } = slope
  return samples >= enoughSamples && perMinute > clearly * noise && perMinute * minutes > least
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
