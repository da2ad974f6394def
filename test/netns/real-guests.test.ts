import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { cloudInitPaths } from '../bench/cloud-init-paths.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { guestCommands, isInstalled } from '../support/guest-programs.ts'
import {
  ipBatch,
  makeNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { get, RawConnection } from '../support/raw-http.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { WholeChain } from '../support/whole-chain.ts'

interface RealGuest {
  readonly name: string
  readonly netns: string
  readonly instanceId: string
  readonly ec2Id: string
  readonly userData: Buffer
}

const mac = 'fa:16:3e:00:00:10'
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGuests ops@example'
/** No text in any encoding, and packed: what an agent that unpacks or decodes answers spoils. */
const packed = gzipSync(Buffer.from([0, 0xff, 0xfe, 0x80, 0x0a]))
const textual = Buffer.from('#cloud-config\nfqdn: guest.example\n')

/** Two routers and an isolated network, each with a guest that has the same address and MAC. */
async function startGuests(t: Test): Promise<{ chain: WholeChain; guests: readonly RealGuest[] }> {
  const plans = (['router', 'router', 'isolated'] as const).map((kind, index) => ({
    kind,
    id: randomUUID(),
    network: randomUUID(),
    instanceId: randomUUID(),
    name: `vm-${index}`,
    ec2Id: `i-0000001${index}`,
    userData: kind === 'router' ? textual : packed,
  }))
  const made = makeNamespaces(
    t,
    plans.map(({ kind }) => ({
      netns: uniqueName(),
      addresses: [
        '10.0.0.1/24',
        'fe80::1/64',
        ...(kind === 'isolated' ? ['169.254.169.254/32', 'fe80::a9fe:a9fe/64'] : []),
      ],
      guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'], mac },
    })),
  )
  const chain = await WholeChain.start(t, {
    topology: {
      networks: plans.map(({ network }) => ({ id: network, project: 'project-of-tests' })),
      routers: plans.filter(({ kind }) => kind === 'router').map(({ id }) => ({ id })),
      ports: plans.flatMap(({ kind, id, network }, index) =>
        kind === 'router' ? [routerPortBehind(made[index]!.interface, id, network)] : [],
      ),
      instances: plans.map(({ name, instanceId: id, ec2Id, network, userData }) => ({
        name,
        id,
        ec2_id: ec2Id,
        key: { name: 'ops', data: publicKey },
        user_data_base64: userData.toString('base64'),
        ports: [{ network, mac, fixed_ips: ['10.0.0.10'] }],
      })),
    },
  })
  for (const [index, { kind, id, network }] of plans.entries()) {
    chain.name(made[index]!.netns, kind === 'router' ? `qrouter-${id}` : `qdhcp-${network}`)
    // No default route: a program that looks up names would wait for a resolver that is not there.
    const routes =
      kind === 'router'
        ? ['169.254.169.254/32 via 10.0.0.1', 'fe80::a9fe:a9fe/128 via fe80::1']
        : ['169.254.169.254/32 via 10.0.0.1']
    ipBatch(
      routes.map((route) => `route add ${route} dev eth0`),
      made[index]!.guest,
    )
  }
  await chain.untilServing(plans.length)
  const guests = plans.map((plan, index) => ({ ...plan, netns: made[index]!.guest! }))
  return { chain, guests }
}

/** What cloud-init up to 24.4 takes for the end: no connection, no answer, or any status but 200. */
async function bootImpatiently(
  sockets: GuestSockets,
  { netns }: RealGuest,
): Promise<readonly string[]> {
  const failures: string[] = []
  for (const target of cloudInitPaths) {
    const connection = RawConnection.wrap(sockets.connect(netns, '169.254.169.254', 80))
    void connection.write(get(target, 'Connection: close'))
    const answer = await connection.answer()
    connection.close()
    if (answer?.status === 200) continue
    failures.push(`${target}: ${answer?.status ?? 0} ${answer?.field('x-overlapd-reason') ?? ''}`)
  }
  return failures
}

const cloudInit = fileURLToPath(new URL('../openstack/scripts/cloud_init.py', import.meta.url))
const hasCloudInit = existsSync('/usr/lib/python3/dist-packages/cloudinit')

if (skipUnlessPrivileged(t)) {
  t.test('guests of every sort get along with our answers', async (t) => {
    const { guests } = await startGuests(t)
    const missing = new Set<string>()
    const tryAll = async (guest: RealGuest): Promise<void> => {
      const facts = { ...guest, userData: guest.userData.toString('latin1') }
      for (const { program, what, words, prints, code = 0 } of guestCommands(facts)) {
        if (!isInstalled(program)) {
          missing.add(program)
          continue
        }
        const ran = await runInNetns(guest.netns, words)
        const said = `${guest.name}: ${program}, ${what}`
        t.equal(ran.code, code, `${said}: ${ran.stderr}`)
        if (typeof prints === 'string') t.equal(ran.stdout, prints, said)
        else t.match(ran.stdout, prints, said)
      }
    }
    await Promise.all(guests.map(tryAll))
    for (const program of missing) t.comment(`${program} is not installed and was not tried`)
  })

  t.test(
    'cloud-init itself takes what it gets for its own',
    { skip: hasCloudInit ? false : 'cloud-init is not installed' },
    async (t) => {
      const { guests } = await startGuests(t)
      for (const { netns, name, instanceId, userData } of guests) {
        if (userData !== textual) continue
        for (const url of ['http://169.254.169.254', 'http://[fe80::a9fe:a9fe%eth0]']) {
          const ran = await runInNetns(netns, ['/usr/bin/python3', cloudInit, url])
          t.equal(ran.code, 0, ran.stderr)
          const report = JSON.parse(ran.stdout) as Record<string, unknown>
          t.match(
            report,
            {
              accepted: true,
              instanceId,
              address: url,
              hostname: new RegExp(name),
              userData: userData.toString(),
              keys: [publicKey],
            },
            `${name} by ${url}`,
          )
          t.equal((report['requests'] as unknown[]).length, cloudInitPaths.length)
        }
      }
    },
  )

  t.test('a guest that sends one request boots while others restart', async (t) => {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const { chain, guests } = await startGuests(t)
    const restarts: Readonly<Record<string, () => Promise<void>>> = {
      'the agent': () => chain.restartAgent('prefer'),
      compute: () => chain.restartCompute(),
    }
    for (const [what, restart] of Object.entries(restarts)) {
      let isOver = false
      const restarting = restart().finally(() => (isOver = true))
      let boots = 0
      const failures: string[] = []
      const bootAgain = async (guest: RealGuest): Promise<void> => {
        do {
          failures.push(...(await bootImpatiently(sockets, guest)))
          boots += 1
        } while (!isOver)
      }
      await Promise.all([restarting, ...guests.map(bootAgain)])
      t.strictSame(failures, [], `${boots} boots during a restart of ${what}`)
    }
  })
}
