import { setImmediate } from 'node:timers/promises'
import type { Count } from '../../lib/runtime/clock.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { reportOnDemand } from './bench-process.ts'
import { targetFrom } from './bench-network.ts'
import { askOnce, Endings, requestText } from './guest-request.ts'

/** A project whose guests ask without pause. */
export interface HammerOptions {
  readonly guests: readonly { readonly netns: string; readonly instanceId: string }[]
  /** Requests that each of them has under way at the same time. */
  readonly lanes: Count
}

/** What the program prints. */
export interface HammerReport {
  readonly requests: Count
  readonly errors: Count
  readonly wrong: Count
  readonly errorKinds: Readonly<Record<string, Count>> | null
}

const { guests, lanes } = JSON.parse(process.argv[2] ?? '{}') as HammerOptions
const sockets = await GuestSockets.open()
const endings = new Endings()
let requests = 0

async function hammer(guest: HammerOptions['guests'][number]): Promise<never> {
  const target = targetFrom(sockets, guest)
  const request = requestText(target.path, false)
  for (;;) {
    const ending = await askOnce(target, request)
    requests += 1
    endings.add(ending)
    // Where not even a connection is to be had, nothing else gives the others their turn.
    await setImmediate()
  }
}

for (const guest of guests) for (let lane = 0; lane < lanes; lane += 1) void hammer(guest)
reportOnDemand((): HammerReport => ({ requests, ...endings.figures() }))
