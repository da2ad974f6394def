import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit } from '../support/guest-visit.ts'
import {
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { openFolder } from '../support/running-proxy.ts'
import { Segment, type Guest } from '../support/segment.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { WholeChain } from '../support/whole-chain.ts'

const metadataIpv4 = '169.254.169.254'
const guestMac = 'fa:16:3e:00:00:10'

interface Router {
  readonly netns: string
  readonly id: string
  readonly network: string
  readonly guest: Guest
}

function makeRouter(t: Test): Router {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const segment = new Segment(t)
  const addresses = ['10.0.0.1/24', 'fe80::1/64']
  segment.attach({ netns, device: 'qr-7e57ab1e-00', mac: 'fa:16:3e:ff:00:01', addresses })
  const guest = segment.addGuest({
    mac: guestMac,
    addresses: ['10.0.0.10/24'],
    routes: [`${metadataIpv4}/32 via 10.0.0.1`, `${metadataIpv6}/128 via fe80::1`],
  })
  return { netns, id: randomUUID(), network: randomUUID(), guest }
}

async function startChain(t: Test, routers: readonly Router[]): Promise<WholeChain> {
  const chain = await WholeChain.start(t, {
    topology: {
      networks: routers.map(({ network }) => ({ id: network, project: 'project-of-tests' })),
      routers: routers.map(({ id }) => ({ id })),
      ports: routers.map(({ id, network }) => routerPortBehind('qr-7e57ab1e-00', id, network)),
      instances: routers.map(({ network, id }) => ({
        name: id,
        ports: [{ network, mac: guestMac, fixed_ips: ['10.0.0.10'] }],
      })),
    },
  })
  for (const { netns, id } of routers) chain.name(netns, `qrouter-${id}`)
  await chain.untilServing(routers.length)
  return chain
}

async function openSockets(t: Test): Promise<GuestSockets> {
  const sockets = await GuestSockets.open()
  t.teardown(() => sockets.close())
  return sockets
}

/** Lets a running process hold so many descriptors more than it does now, and no further one. */
function limitDescriptors(pid: number, more: number): void {
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  // The limit is on the number of a descriptor, and the lowest free one is taken.
  let limit = 0
  for (let free = 0; free <= more; limit += 1) if (!used.has(limit)) free += 1
  setSoftLimit(pid, limit - 1)
}

function setSoftLimit(pid: number, limit: number): void {
  // Only its own user may do that to a process, where root is not almighty.
  const { uid } = statSync(`/proc/${pid}`)
  execFileSync(
    'setpriv',
    [
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      'prlimit',
      `--pid=${pid}`,
      `--nofile=${limit}:`,
    ],
    { stdio: 'pipe' },
  )
}

const usualLimit = 4_096

/** Entries that no new connection may push out, as many as the kernel takes. */
function connectionsThatFill(count: number): string {
  return Array.from({ length: count }, (_, index) => {
    const source = `10.9.${Math.floor(index / 64_000)}.1`
    const port = 1_024 + (index % 64_000)
    return `-A -p udp -s ${source} -d 10.8.0.1 --sport ${port} --dport 53 -r 10.8.0.1 -q ${source} --reply-port-src 53 --reply-port-dst ${port} -t 600 -u ASSURED,SEEN_REPLY\n`
  }).join('')
}

/** Larger tables take more of the machine than a test should. */
const largestTable = 300_000

function whyNotFillable(): string | undefined {
  if (!existsSync('/usr/sbin/conntrack')) return 'the program conntrack is missing'
  const max = Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'))
  return max > largestTable ? `nf_conntrack_max is ${max}: too large to be filled` : undefined
}

if (skipUnlessPrivileged(t)) {
  t.test(
    'a supervisor without free descriptors serves on what it has, reports it, and recovers',
    async (t) => {
      const sockets = await openSockets(t)
      const routers = [makeRouter(t), makeRouter(t)]
      const chain = await startChain(t, routers)
      const { proxy } = chain
      const names = Array.from({ length: 20 }, () => uniqueName())
      makeEmptyNamespaces(t, names)
      limitDescriptors(proxy.pid, 4)
      for (const name of names) chain.name(name, `qrouter-${randomUUID()}`)
      for (let tries = 0; tries < 1_000 && !proxy.log().includes('EMFILE'); tries += 1) {
        for (const { id, guest } of routers) t.match(await visit(sockets, guest), { whose: id })
      }
      t.match(proxy.log(), /EMFILE/)
      t.match(proxy.log(), /raise the limit of open files \(LimitNOFILE\)/)
      for (const { id, guest } of routers) t.match(await visit(sockets, guest), { whose: id })
      setSoftLimit(proxy.pid, usualLimit)
      await chain.untilServing(routers.length + names.length)
      for (const { id, guest } of routers) t.match(await visit(sockets, guest), { whose: id })
    },
  )

  t.test('a worker without free descriptors answers no guest wrongly, and recovers', async (t) => {
    const sockets = await openSockets(t)
    const routers = [makeRouter(t), makeRouter(t)]
    const chain = await startChain(t, routers)
    const { proxy } = chain
    for (const { guest } of routers) await visit(sockets, guest)
    const { workers } = await proxy.status()
    for (const [place, { pid }] of workers.entries()) {
      limitDescriptors(pid, 0)
      const outcomes: Record<string, number> = {}
      for (let round = 0; round < 20; round += 1) {
        for (const { id, guest } of routers) {
          const { whose, reason } = await visit(sockets, guest)
          const word = whose === undefined ? (reason ?? '') : whose === id ? 'own' : 'WRONG'
          outcomes[word] = (outcomes[word] ?? 0) + 1
        }
      }
      t.comment(`without descriptors in worker ${place}: ${JSON.stringify(outcomes)}`)
      t.equal(outcomes['WRONG'], undefined)
      t.ok((outcomes['own'] ?? 0) > 0, 'the other worker goes on')
      setSoftLimit(pid, usualLimit)
      for (const { id, guest } of routers) t.match(await visit(sockets, guest), { whose: id })
    }
    const failures = /overlapd_proxy_accept_failures_total (\d+)/.exec(await proxy.metrics())
    t.comment(`accept failures: ${failures?.[1]}`)
    t.match((await proxy.status()).workers, [{ restarts: 0 }, { restarts: 0 }])
  })

  t.test('a full connection tracking table silences its own router and no other', async (t) => {
    const why = whyNotFillable()
    if (why !== undefined) {
      t.plan(0, why)
      return
    }
    const sockets = await openSockets(t)
    const [full, other] = [makeRouter(t), makeRouter(t)]
    const chain = await startChain(t, [full, other])
    // The kernel counts the entries of each namespace by itself against the limit that all share.
    const max = Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'))
    const file = join(openFolder(t), 'connections')
    writeFileSync(file, connectionsThatFill(max + 100))
    const filled = await runInNetns(full.netns, ['conntrack', '--load-file', file])
    t.match(filled.stderr, /not enough memory/, 'the table is full')
    const before = chain.compute.requests().length
    t.match(await visit(sockets, full.guest), { status: 0, reason: 'ETIMEDOUT' })
    t.match(await visit(sockets, full.guest, { host: '10.0.0.1', tcpPort: 9697 }), { status: 0 })
    t.equal(chain.compute.requests().length, before)
    t.match(await visit(sockets, other.guest), { whose: other.id })
    await runInNetns(full.netns, ['conntrack', '-F'])
    t.match(await visit(sockets, full.guest), { whose: full.id })
  })
}
