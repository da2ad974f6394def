import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { cloudInitPaths } from './cloud-init-paths.ts'
import { askOnce, type Endings, type LoadTarget } from './guest-request.ts'
import type { Latencies } from './latencies.ts'

/** One request of a guest that boots. */
export interface CrawlStep {
  readonly target: LoadTarget
  readonly request: string
}

/** What came of one guest's crawl. */
export interface Crawl {
  readonly span: Milliseconds
  /** Every answer was there, 200, and the guest's own. */
  readonly isGood: boolean
}

/** Sends what cloud-init sends in a first boot, one request after the other, each on a connection of its own. */
export async function crawl(
  stepAt: (path: string) => CrawlStep,
  endings: Endings,
  answers?: Latencies,
): Promise<Crawl> {
  const begun = performance.now()
  let isGood = true
  for (const path of cloudInitPaths) {
    const { target, request } = stepAt(path)
    const sent = performance.now()
    const ending = await askOnce(target, request)
    answers?.add(performance.now() - sent)
    endings.add(ending)
    if (ending.kind !== 'right') isGood = false
  }
  return { span: performance.now() - begun, isGood }
}
