// A worker of the supervisor before lived on after a restart and closed the new supervisor's canary: "canary down" in 38 namespaces.
// Right: it says that the canary is another's, and nothing is concluded from that.
import t from 'tap'
import { silentLogger } from '../../lib/runtime/log.ts'
import { Canary } from '../../proxy/canary/canary.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import { notOurs } from '../../proxy/worker/shared/protocol.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startWorker } from '../support/start-worker.ts'

function canaryOf(letter: string) {
  return { target: `/canary/${letter.repeat(64)}`, timeout: 5_000, checksAgent: false }
}

if (skipUnlessPrivileged(t)) {
  t.test('a worker of another supervisor is no reason to call a namespace down', async (t) => {
    const [left, own] = await Promise.all([
      startWorker({ canary: canaryOf('a') }),
      startWorker({ canary: canaryOf('b') }),
    ])
    t.teardown(() => Promise.all([left.stop(), own.stop()]))
    const window = await openWindow()
    t.teardown(() => window.close())
    const home = openNamespace('/proc/self/ns/net')
    home.close()
    const clock = new FakeClock()
    let answering = left
    const canary = new Canary({
      window,
      places: () => [
        {
          key: home.key,
          netns: 'home',
          path: '/proc/self/ns/net',
          kind: 'router',
          targets: [
            {
              address: '127.0.0.1' as IpAddress,
              tcpPort: answering.target.tcpPort,
              interfaceIndex: 0,
              overLoopback: false,
            },
          ],
        },
      ],
      send: (canaryId, fd) => {
        own.tellOf([fd], { kind: 'check-canary', canaryId })
        return true
      },
      interval: 1_000,
      timeout: 5_000,
      parallel: 1,
      clock,
      logger: silentLogger,
      onAnswer: () => undefined,
    })
    t.teardown(() => canary.close())
    canary.start()
    const round = async () => {
      await clock.advance(1_250)
      const { canaryId, outcome } = await own.told('canary')
      canary.report(canaryId, outcome)
      await clock.advance(0)
      return { ...outcome, state: canary.stateOf(home.key).state }
    }

    for (let rounds = 0; rounds < 2; rounds += 1) {
      t.match(await round(), { ok: false, why: notOurs, state: 'unknown' })
    }
    answering = own
    t.match(await round(), { ok: true, state: 'up' })
    answering = left
    for (let rounds = 0; rounds < 2; rounds += 1) {
      t.match(await round(), { ok: false, why: notOurs, state: 'up' })
    }
  })
}
