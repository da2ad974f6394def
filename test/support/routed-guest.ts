/** How do tests get one guest behind one router, with everything that serves it? */
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { routerPortBehind } from './made-links.ts'
import { makeEmptyNamespaces, uniqueName } from './netns.ts'
import { Segment, type Guest } from './segment.ts'
import { WholeChain, type ChainOptions } from './whole-chain.ts'

const routerDevice = 'qr-7e57ab1e-00'

export interface RoutedGuestOptions extends Omit<ChainOptions, 'topology'> {
  /** Where a guest is found by its MAC, that of no other test. */
  readonly mac?: string
  /** Of the same network, and on no wire. */
  readonly otherInstances?: readonly { readonly id: string; readonly address: string }[]
}

/** A guest at 10.0.0.10, whose instance is called `asker`. */
export interface RoutedGuest {
  readonly chain: WholeChain
  readonly guest: Guest
  readonly mac: string
  readonly instance: string
  readonly router: string
}

/** Makes the router and the guest, and waits until the router is served. */
export async function startRoutedGuest(
  t: Test,
  options: RoutedGuestOptions = {},
): Promise<RoutedGuest> {
  const { mac = 'fa:16:3e:00:00:10', otherInstances = [], ...chainOptions } = options
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const segment = new Segment(t)
  segment.attach({
    netns,
    device: routerDevice,
    mac: 'fa:16:3e:ff:00:01',
    addresses: ['10.0.0.1/24', 'fe80::1/64'],
  })
  const guest = segment.addGuest({
    mac,
    addresses: ['10.0.0.10/24'],
    routes: ['169.254.169.254/32 via 10.0.0.1'],
  })
  const [instance, router, network] = [randomUUID(), randomUUID(), randomUUID()]
  const others = otherInstances.map(({ id, address }, index) => ({
    id,
    ports: [{ network, mac: `fa:16:3e:00:01:0${index}`, fixed_ips: [address] }],
  }))
  const chain = await WholeChain.start(t, {
    ...chainOptions,
    topology: {
      networks: [{ id: network, project: 'project-of-tests' }],
      routers: [{ id: router }],
      ports: [routerPortBehind(routerDevice, router, network)],
      instances: [
        { id: instance, name: 'asker', ports: [{ network, mac, fixed_ips: ['10.0.0.10'] }] },
        ...others,
      ],
    },
  })
  chain.name(netns, `qrouter-${router}`)
  await chain.untilServing(1)
  return { chain, guest, mac, instance, router }
}
