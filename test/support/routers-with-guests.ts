/** How do tests put load on many networks at once? Routers that all look alike, a guest behind each, sockets out of every guest. */
import { randomUUID } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Count } from '../../lib/runtime/clock.ts'
import type { LoadTarget } from '../bench/guest-request.ts'
import { GuestSockets } from './connect-from.ts'
import { ipBatch, makeNamespaces, uniqueName } from './netns.ts'

/** A router, its guest, and how the guest asks. */
export interface RouterWithGuest {
  readonly routerId: string
  readonly netns: string
  readonly target: LoadTarget
}

const routerMac = 'fa:16:3e:00:00:01'
const guestMac = 'fa:16:3e:00:00:10'

/**
 * Makes routers whose guests all have the address 10.0.0.10, and names them for discovery in a folder. Right is an answer
 * that holds the router's id, so the agent has to echo the headers it got.
 */
export async function makeRoutersWithGuests(
  t: Test,
  folder: string,
  count: Count,
): Promise<RouterWithGuest[]> {
  // Threads come later than this: see proxy/netns/README.md.
  const sockets = await GuestSockets.open()
  t.teardown(() => sockets.close())
  const made = makeNamespaces(
    t,
    Array.from({ length: count }, () => ({
      netns: uniqueName(),
      addresses: ['10.0.0.1/24'],
      guest: { addresses: ['10.0.0.10/24'], mac: guestMac, via: ['10.0.0.1'] },
    })),
  )
  return made.map(({ netns, interface: device, guest = '' }) => {
    // All namespaces of a machine share one table of neighbours; permanent ones need no room in it.
    ipBatch(
      [
        `link set ${device} address ${routerMac}`,
        `neigh replace 10.0.0.10 lladdr ${guestMac} nud permanent dev ${device}`,
      ],
      netns,
    )
    ipBatch([`neigh replace 10.0.0.1 lladdr ${routerMac} nud permanent dev eth0`], guest)
    const routerId = randomUUID()
    symlinkSync(`/run/netns/${netns}`, join(folder, `qrouter-${routerId}`))
    const target = {
      connect: () => sockets.connect(guest, '169.254.169.254', 80),
      path: '/openstack/latest/meta_data.json',
      expected: `"x-neutron-router-id":"${routerId}"`,
    }
    return { routerId, netns, target }
  })
}
