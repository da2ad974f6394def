/** How do tests of the shield get a guest with containers, behind a router, and everything that serves it? */
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { ipBatch, makeEmptyNamespaces, makeNamespaces, runInNetns, uniqueName } from './netns.ts'
import { routerPortBehind } from './made-links.ts'
import { setKernel } from './segment.ts'
import { WholeChain } from './whole-chain.ts'

/** Each guest's, behind its own router. */
export const guestMac = 'fa:16:3e:00:00:10'
export const guestSecret = '#cloud-config\n# the password of the database is hunter2\n'
export const guestEc2Id = 'i-00000042'

/** Namespaces, and what serves them. */
export interface Stage {
  readonly chain: WholeChain
  readonly instanceId: string
  /** The guest itself. */
  readonly guest: string
  /** Another one behind another router, with the same address, MAC and documents. */
  readonly other: { readonly guest: string; readonly instanceId: string }
  /** Behind the NAT of the guest. Linux forwards nothing to a link-local address, so there is IPv4 alone. */
  readonly container: string
  /** On the link of the guest, with an address and a MAC of its own. */
  readonly bridged: string
}

export async function startStage(t: Test, policy: string): Promise<Stage> {
  const plans = ['vm', 'other'].map((name) => ({
    name,
    router: randomUUID(),
    network: randomUUID(),
    instanceId: randomUUID(),
  }))
  const made = makeNamespaces(
    t,
    plans.map(() => ({
      netns: uniqueName(),
      addresses: ['10.0.0.1/24', 'fe80::1/64'],
      guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'], mac: guestMac },
    })),
  )
  const [guest, other] = made.map((one) => one.guest!)
  for (const one of [guest!, other!]) {
    ipBatch(
      [
        'route add 169.254.169.254/32 via 10.0.0.1 dev eth0',
        'route add fe80::a9fe:a9fe/128 via fe80::1 dev eth0',
      ],
      one,
    )
  }
  const containers = await addContainers(t, guest!)
  const chain = await WholeChain.start(t, {
    policy,
    topology: {
      networks: plans.map(({ network }) => ({ id: network, project: 'project-of-tests' })),
      routers: plans.map(({ router }) => ({ id: router })),
      ports: plans.map(({ router, network }, index) =>
        routerPortBehind(made[index]!.interface, router, network),
      ),
      instances: plans.map(({ name, network, instanceId: id }) => ({
        name,
        id,
        ec2_id: guestEc2Id,
        key: { name: 'ops', data: 'ssh-ed25519 AAAAC3 ops@example' },
        user_data: guestSecret,
        password: 'c2VjcmV0',
        vendor_data: { secret: guestSecret },
        ports: [{ network, mac: guestMac, fixed_ips: ['10.0.0.10'] }],
      })),
    },
  })
  for (const [index, { router }] of plans.entries()) {
    chain.name(made[index]!.netns, `qrouter-${router}`)
  }
  await chain.untilServing(plans.length)
  const [instanceId, otherId] = plans.map((plan) => plan.instanceId)
  return {
    chain,
    instanceId: instanceId!,
    guest: guest!,
    other: { guest: other!, instanceId: otherId! },
    ...containers,
  }
}

async function addContainers(
  t: Test,
  guest: string,
): Promise<Pick<Stage, 'container' | 'bridged'>> {
  const [container, bridged] = [uniqueName('ovt-c-'), uniqueName('ovt-b-')]
  makeEmptyNamespaces(t, [container, bridged])
  setKernel(guest, ['net.ipv4.ip_forward=1'])
  ipBatch(
    [
      `link add c0 type veth peer name eth0 netns ${container}`,
      'link set c0 up',
      'addr add 172.17.0.1/16 dev c0',
      `link add b0 link eth0 type macvlan mode bridge`,
      `link set b0 netns ${bridged}`,
    ],
    guest,
  )
  ipBatch(
    [
      'link set lo up',
      'link set eth0 up',
      'addr add 172.17.0.2/16 dev eth0',
      'route add default via 172.17.0.1',
    ],
    container,
  )
  ipBatch(
    ['link set b0 up', 'addr add 10.0.0.11/24 dev b0', 'route add default via 10.0.0.1'],
    bridged,
  )
  const rules = `table inet docker {
  chain post { type nat hook postrouting priority 100; oif "eth0" masquerade; }
  counter near { }
  chain in { type filter hook input priority 0; ip6 saddr fe80::a9fe:a9fe ip6 hoplimit 1 counter name near; }
}`
  const loaded = await runInNetns(guest, ['nft', '-f', '-'], rules)
  t.equal(loaded.code, 0, loaded.stderr)
  return { container, bridged }
}
