import t from 'tap'
import { GuestSockets } from '../support/connect-from.ts'
import { visit } from '../support/guest-visit.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startRoutedGuest } from '../support/routed-guest.ts'

const mostTries = 200

if (skipUnlessPrivileged(t)) {
  t.test(
    'requests go straight to Nova where they can, and through the agent otherwise',
    async (t) => {
      const sockets = await GuestSockets.open()
      t.teardown(() => sockets.close())
      // Nothing is configured in the proxy but where things are.
      const { chain, guest } = await startRoutedGuest(t, { direct: true })

      const straight = async (): Promise<number> => {
        const text = await chain.proxy.metrics()
        return Number(/^overlapd_proxy_direct_requests_total (\d+)$/m.exec(text)?.[1])
      }
      /** Each answer is the guest's own, whichever way it came. */
      const visitUntil = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
        for (let tries = 0; tries < mostTries; tries += 1) {
          t.match(await visit(sockets, guest), { status: 200, whose: 'asker' })
          if (await isSo()) return
        }
        t.fail(`${what}: ${JSON.stringify((await chain.proxy.status()).forwarding)}`)
      }
      const untilStraight = async (): Promise<void> => {
        const before = await straight()
        await visitUntil('straight to Nova', async () => (await straight()) > before)
        await chain.proxy.until('a worker that goes straight', ({ forwarding }) => {
          return forwarding.mode === 'auto' && forwarding.straight > 0
        })
      }

      await untilStraight()

      // As a worker finds Neutron's agent: no socket for leases.
      await chain.restartAgent('off')
      await chain.proxy.until(
        'no leases',
        ({ forwarding: { throughAgent, why = '' }, workers }) => {
          return throughAgent === workers.length && why.includes('grants no leases')
        },
      )
      const before = await straight()
      for (let count = 0; count < 5; count += 1) {
        t.match(await visit(sockets, guest), { status: 200, whose: 'asker' })
      }
      t.equal(await straight(), before)

      await chain.restartAgent('prefer')
      await untilStraight()

      await chain.restartCompute()
      await untilStraight()
    },
  )
}
