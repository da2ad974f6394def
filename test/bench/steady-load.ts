import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { askOnce, Endings, requestText, type LoadTarget } from './guest-request.ts'
import { Latencies } from './latencies.ts'

/** What guests saw while something happened. */
export interface SteadyResult {
  readonly requests: Count
  readonly seconds: number
  readonly latencies: Latencies
  /** The longest stretch in which no guest got an answer. */
  readonly longestPause: Milliseconds
  readonly endings: Endings
}

export interface SteadyOptions {
  readonly targets: readonly LoadTarget[]
  /** New connections, evenly spread, whether or not answers come. */
  readonly requestsPerSecond: Count
  /** How long before and after the event. */
  readonly margin: Milliseconds
  /** What happens in the middle. */
  readonly event: () => Promise<void>
}

const tick: Milliseconds = 10

function wait(span: Milliseconds): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, span)
  })
}

/** Asks at a constant rate while something happens to the service. */
export async function runSteadyLoad(options: SteadyOptions): Promise<SteadyResult> {
  const { targets, requestsPerSecond, margin, event } = options
  const latencies = new Latencies(10_000)
  const endings = new Endings()
  const running = new Set<Promise<void>>()
  const begun = performance.now()
  let lastAnswer = begun
  let longestPause: Milliseconds = 0
  let issued = 0

  async function ask(target: LoadTarget): Promise<void> {
    const asked = performance.now()
    const ending = await askOnce(target, requestText(target.path, false))
    const now = performance.now()
    latencies.add(now - asked)
    endings.add(ending)
    if (ending.kind === 'error') return
    longestPause = Math.max(longestPause, now - lastAnswer)
    lastAnswer = now
  }

  function issueWhatIsDue(): void {
    const due = ((performance.now() - begun) / 1000) * requestsPerSecond
    for (; issued < due; issued += 1) {
      const target = targets[issued % targets.length]
      if (target === undefined) return
      const one = ask(target).finally(() => running.delete(one))
      running.add(one)
    }
  }

  const timer = setInterval(issueWhatIsDue, tick)
  try {
    await wait(margin)
    await event()
    await wait(margin)
  } finally {
    clearInterval(timer)
  }
  await Promise.all(running)
  const seconds = (performance.now() - begun) / 1000
  return { requests: latencies.count, seconds, latencies, longestPause, endings }
}
