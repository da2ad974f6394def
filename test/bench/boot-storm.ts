import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { cloudInitPaths } from './cloud-init-paths.ts'
import { crawl, type CrawlStep } from './crawl.ts'
import { Endings, requestText, type LoadTarget } from './guest-request.ts'
import { Latencies } from './latencies.ts'

/** What came of guests that all booted at once. */
export interface BootStorm {
  readonly requests: Count
  readonly seconds: number
  /** Of single answers. */
  readonly answers: Latencies
  /** Of whole boots: 28 answers. */
  readonly boots: Latencies
  /** Boots in which an answer was missing, late, not 200, or somebody else's. */
  readonly failedBoots: Count
  readonly endings: Endings
}

/** Boots all guests at the same time, each asking what cloud-init asks, one request after the other. */
export async function runBootStorm(
  guests: readonly ((path: string) => LoadTarget)[],
): Promise<BootStorm> {
  const requests = guests.length * cloudInitPaths.length
  const answers = new Latencies(requests)
  const boots = new Latencies(guests.length)
  const endings = new Endings()
  let failedBoots = 0

  async function boot(targetAt: (path: string) => LoadTarget): Promise<void> {
    const stepAt = (path: string): CrawlStep => ({
      target: targetAt(path),
      request: requestText(path, false),
    })
    const { span, isGood } = await crawl(stepAt, endings, answers)
    boots.add(span)
    if (!isGood) failedBoots += 1
  }

  const begun = performance.now()
  await Promise.all(guests.map(boot))
  const seconds = secondsSince(begun)
  return { requests, seconds, answers, boots, failedBoots, endings }
}

function secondsSince(begun: Milliseconds): number {
  return (performance.now() - begun) / 1000
}
