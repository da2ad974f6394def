import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import {
  deleteNetns,
  exchangeFrom,
  fetchFrom,
  ipBatch,
  makeEmptyNamespaces,
  makeNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
  type MadeNamespace,
} from '../support/netns.ts'
import { layCables, type LinksMade } from '../support/made-links.ts'
import { startProxy, threadStatuses, type RunningProxy } from '../support/running-proxy.ts'
import { until } from '../support/until.ts'

const mac = 'fa:16:3e:00:00:10'
const metadataV6 = 'fe80::a9fe:a9fe'

/** A router's namespace with a guest that always has the same address. */
function makeRouter(t: Test, linksMade: LinksMade = 'host'): MadeNamespace {
  const [made] = makeNamespaces(t, [
    {
      netns: uniqueName(),
      linksMade,
      addresses: ['10.0.0.1/24', 'fe80::1/64'],
      guest: {
        addresses: ['10.0.0.10/24', 'fe80::10/64'],
        mac,
        via: ['10.0.0.1', 'fe80::1'],
      },
    },
  ])
  ipBatch([`route add ${metadataV6}/128 via fe80::1 dev eth0`], made!.guest)
  return made!
}

/** Lets the proxy find a namespace under a name of Neutron's. @returns the id in the name */
function call(proxy: RunningProxy, made: { netns: string }, prefix: string, id: string): string {
  symlinkSync(`/run/netns/${made.netns}`, join(proxy.netnsFolder, `${prefix}-${id}`))
  return id
}

function isServing(count: number): (status: ProxyStatus) => boolean {
  return ({ namespaces }) =>
    namespaces.length === count &&
    namespaces.every(
      ({ state, interception }) =>
        state === 'serving' && (interception === undefined || interception === 'applied'),
    )
}

/** The headers that the agent got. */
function headersIn(answer: { stdout: string }): Record<string, string> {
  if (!answer.stdout.includes('{'))
    throw new Error(`No answer of the agent: ${JSON.stringify(answer)}`)
  const body = answer.stdout.slice(answer.stdout.indexOf('\r\n\r\n') + 4)
  return JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as Record<
    string,
    string
  >
}

function netfilterOf(netns: string): Promise<{ stdout: string }> {
  return runInNetns(netns, ['nft', 'list', 'ruleset'])
}

/** Asks again and again, for at most half a minute, and gives the last answer. */
async function comesTo<Value>(ask: () => Value | Promise<Value>, wanted: Value): Promise<Value> {
  for (let tries = 0; tries < 600; tries += 1) {
    if ((await ask()) === wanted) break
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
  return ask()
}

/** One end of a veth pair goes when the kernel destroys the namespace of the other: then nothing pins that any more. */
async function hasLink(netns: string): Promise<boolean> {
  return (await runInNetns(netns, ['ip', 'link', 'show', 'eth0'])).code === 0
}

function countDescriptors(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)
}

/** Another process that listens where the proxy wants to. */
async function startHolder(t: Test, netns: string): Promise<{ stop(): Promise<void> }> {
  const script = `require('net').createServer().listen(9697, () => console.log('up'))`
  const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script])
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(stop)
  await once(child.stdout, 'data')
  return { stop }
}

if (skipUnlessPrivileged(t)) {
  t.test('routers with the same guest address are distinguished, by IPv4 and IPv6', async (t) => {
    const routers = [makeRouter(t, 'host'), makeRouter(t, 'inside')]
    const proxy = await startProxy(t)
    const ids = routers.map((made) => call(proxy, made, 'qrouter', randomUUID()))
    await proxy.until('two routers', isServing(2))

    for (const [index, { guest }] of routers.entries()) {
      const v4 = headersIn(await fetchFrom(guest!, '/openstack'))
      t.match(v4, {
        'x-neutron-router-id': ids[index],
        'x-forwarded-for': '10.0.0.10',
        'x-overlapd-source-mac': mac,
      })
      const v6 = headersIn(await fetchFrom(guest!, '/openstack', `${metadataV6}%eth0`))
      t.match(v6, {
        'x-neutron-router-id': ids[index],
        'x-forwarded-for': 'fe80::10',
        'x-overlapd-source-mac': mac,
      })
    }

    await t.test(
      'port 9697 is closed to whoever was not redirected, and nothing else is',
      async (t) => {
        const { guest, netns } = routers[0]!
        const dropped = await runInNetns(netns, [
          'nft',
          'list',
          'chain',
          'inet',
          'overlapd',
          'guard_listener',
        ])
        t.match(dropped.stdout, /tcp dport 9697 counter packets 0 /)
        const direct = exchangeFrom(guest!, '10.0.0.1', 9697, 'GET / HTTP/1.0\r\n\r\n')
        t.match(await direct, { code: 3, stdout: '' })
        const after = await runInNetns(netns, [
          'nft',
          'list',
          'chain',
          'inet',
          'overlapd',
          'guard_listener',
        ])
        t.notMatch(after.stdout, /tcp dport 9697 counter packets 0 /)
        t.equal((await runInNetns(guest!, ['ping', '-c1', '-W2', '10.0.0.1'])).code, 0)
        t.equal((await runInNetns(guest!, ['ping', '-c1', '-W2', 'fe80::1%eth0'])).code, 0)
      },
    )

    await t.test('rules of Neutron in the same namespace change nothing', async (t) => {
      const { guest, netns } = routers[1]!
      const iptables = await runInNetns(netns, [
        'sh',
        '-c',
        `iptables -t mangle -A PREROUTING -d 169.254.169.254/32 -i qr-+ -p tcp --dport 80 -j MARK --set-xmark 0x1/0xffff &&
         iptables -t nat -A PREROUTING -d 169.254.169.254/32 -i qr-+ -p tcp --dport 80 -j REDIRECT --to-ports 9697 &&
         iptables -A INPUT -m mark --mark 0x1/0xffff -j ACCEPT &&
         iptables -A INPUT -p tcp --dport 9697 -j DROP`,
      ])
      if (iptables.code !== 0) {
        t.comment(`without iptables: ${iptables.stderr}`)
        return
      }
      t.match(headersIn(await fetchFrom(guest!, '/')), { 'x-neutron-router-id': ids[1] })
      await runInNetns(netns, ['nft', 'flush', 'chain', 'inet', 'overlapd', 'redirect_metadata'])
      const byNeutron = headersIn(await fetchFrom(guest!, '/'))
      t.match(byNeutron, { 'x-neutron-router-id': ids[1] }, 'the redirection may be theirs')
    })

    t.equal(await proxy.stop(), 0)
    t.notMatch((await netfilterOf(routers[0]!.netns)).stdout, 'overlapd', 'the rules are gone')
  })

  t.test('what could not be redirected never leaves the router', async (t) => {
    const router = makeRouter(t)
    const outside = uniqueName()
    makeEmptyNamespaces(t, [outside])
    const external = 'qg-7e57ab1e-00'
    layCables([
      [
        { netns: router.netns, device: external },
        { netns: outside, device: 'eth0' },
      ],
    ])
    ipBatch(
      [
        `link set ${external} up`,
        `addr add 192.0.2.1/24 dev ${external}`,
        'route add default via 192.0.2.2',
      ],
      router.netns,
    )
    ipBatch(
      [
        'link set lo up',
        'link set eth0 up',
        'addr add 192.0.2.2/24 dev eth0',
        'addr add 169.254.169.254/32 dev lo',
        'route add 10.0.0.0/24 via 192.0.2.1',
      ],
      outside,
    )
    await runInNetns(router.netns, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    t.equal((await runInNetns(router.guest!, ['ping', '-c1', '-W2', '169.254.169.254'])).code, 0)

    const proxy = await startProxy(t)
    call(proxy, router, 'qrouter', randomUUID())
    await proxy.until('one router', isServing(1))
    t.not((await runInNetns(router.guest!, ['ping', '-c1', '-W1', '169.254.169.254'])).code, 0)
    t.equal((await runInNetns(router.guest!, ['ping', '-c1', '-W2', '192.0.2.2'])).code, 0)
    t.match(
      await exchangeFrom(outside, '192.0.2.1', 9697, 'GET / HTTP/1.0\r\n\r\n'),
      { code: 3 },
      'and the outside has no way in',
    )
  })

  t.test('DHCP and OVN namespaces are served on the metadata addresses themselves', async (t) => {
    const made = makeNamespaces(
      t,
      ['tap0', 'tap1'].map((name) => ({
        netns: uniqueName(),
        interface: name,
        addresses: ['169.254.169.254/32', '10.0.0.2/24'],
        guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'], mac, via: ['10.0.0.2'] },
      })),
    )
    const proxy = await startProxy(t)
    const network = call(proxy, made[0]!, 'qdhcp', randomUUID())
    const ovn = call(proxy, made[1]!, 'ovnmeta', randomUUID())
    await proxy.until('two networks', isServing(2))
    t.match(headersIn(await fetchFrom(made[0]!.guest!, '/')), { 'x-neutron-network-id': network })
    t.match(headersIn(await fetchFrom(made[1]!.guest!, '/')), { 'x-ovn-network-id': ovn })
    t.notMatch((await netfilterOf(made[0]!.netns)).stdout, 'overlapd', 'and have no rules')

    ipBatch([`addr add ${metadataV6}/64 dev tap0 nodad`], made[0]!.netns)
    const both = await proxy.until('an IPv6 listener', ({ namespaces }) =>
      namespaces.some(({ listeners }) => listeners.length === 2),
    )
    t.match(
      both.namespaces.find(({ kind }) => kind === 'network'),
      { listeners: ['169.254.169.254:80', '[fe80::a9fe:a9fe%tap0]:80'] },
    )
    const v6 = headersIn(await fetchFrom(made[0]!.guest!, '/', `${metadataV6}%eth0`))
    t.match(v6, { 'x-neutron-network-id': network, 'x-overlapd-source-mac': mac })
  })

  t.test('a name made again is another namespace, and the old one is freed', async (t) => {
    const proxy = await startProxy(t)
    const first = makeRouter(t)
    const id = call(proxy, first, 'qrouter', randomUUID())
    await proxy.until('the first', isServing(1))
    t.match(headersIn(await fetchFrom(first.guest!, '/')), { 'x-neutron-router-id': id })

    deleteNetns(first.netns)
    unlinkSync(join(proxy.netnsFolder, `qrouter-${id}`))
    const second = makeRouter(t)
    call(proxy, second, 'qrouter', id)
    await proxy.until('the second', isServing(1))
    t.match(headersIn(await fetchFrom(second.guest!, '/')), { 'x-neutron-router-id': id })
    t.equal(await comesTo(() => hasLink(first.guest!), false), false, 'nothing pins the first')
    t.equal(await hasLink(second.guest!), true)
  })

  t.test('a link that is pointed elsewhere moves the identity at once', async (t) => {
    const routers = [makeRouter(t), makeRouter(t)]
    const proxy = await startProxy(t)
    const [first, second] = routers.map((made) => call(proxy, made, 'qrouter', randomUUID()))
    await proxy.until('two routers', isServing(2))
    for (const id of [first, second]) unlinkSync(join(proxy.netnsFolder, `qrouter-${id}`))
    call(proxy, routers[1]!, 'qrouter', first!)
    call(proxy, routers[0]!, 'qrouter', second!)
    // The status of before the change has the same names.
    for (const [router, id] of [
      [routers[0]!, second!],
      [routers[1]!, first!],
    ] as const) {
      await until(async () => (await fetchFrom(router.guest!, '/')).stdout.includes(id))
    }
    await proxy.until('both again', isServing(2))
    t.match(headersIn(await fetchFrom(routers[0]!.guest!, '/')), { 'x-neutron-router-id': second })
    t.match(headersIn(await fetchFrom(routers[1]!.guest!, '/')), { 'x-neutron-router-id': first })
  })

  t.test('two names for one namespace serve neither', async (t) => {
    const router = makeRouter(t)
    const proxy = await startProxy(t)
    call(proxy, router, 'qrouter', randomUUID())
    await proxy.until('one', isServing(1))
    call(proxy, router, 'qrouter', randomUUID())
    const status = await proxy.until('a refusal', ({ refused }) => refused.length === 2)
    t.same(status.namespaces, [])
    t.match(await exchangeFrom(router.guest!, '10.0.0.1', 9697, 'x'), { code: 3 })
  })

  t.test('workers have no privilege in any thread', async (t) => {
    const proxy = await startProxy(t)
    for (const { pid } of (await proxy.status()).workers) {
      const threads = threadStatuses(pid, [
        'Uid',
        'Gid',
        'CapInh',
        'CapPrm',
        'CapEff',
        'CapAmb',
        'NoNewPrivs',
        'Groups',
      ])
      t.ok(threads.length > 4)
      const nobody = Array.from({ length: 4 }, () => '65534').join('\t')
      const none = '0000000000000000'
      const wanted = `Uid ${nobody}, Gid ${nobody}, Groups, CapInh ${none}, CapPrm ${none}, CapEff ${none}, CapAmb ${none}, NoNewPrivs 1`
      for (const thread of threads) t.equal(thread, wanted)
    }
  })

  t.test('the death of a worker refuses no connection', async (t) => {
    const router = makeRouter(t)
    const proxy = await startProxy(t, 'workers.count=1')
    const id = call(proxy, router, 'qrouter', randomUUID())
    const { workers } = await proxy.until('one router', isServing(1))
    process.kill(workers[0]!.pid, 'SIGKILL')
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => fetchFrom(router.guest!, '/')),
    )
    for (const answer of answers) t.match(headersIn(answer), { 'x-neutron-router-id': id })
    const after = await proxy.status()
    t.match(after.workers, [{ state: 'ready', restarts: 1 }])
    t.not(after.workers[0]?.pid, workers[0]?.pid)
    t.match(await proxy.metrics(), /overlapd_proxy_worker_restarts_total 1\n/)
  })

  t.test('a port that another process holds is reported, and taken when it is free', async (t) => {
    const router = makeRouter(t)
    const holder = await startHolder(t, router.netns)
    const proxy = await startProxy(t)
    call(proxy, router, 'qrouter', randomUUID())
    const failed = await proxy.until(
      'a failure',
      ({ namespaces }) => namespaces[0]?.state === 'failed',
    )
    t.match(failed.namespaces[0]?.why, /\[::\]:9697: EADDRINUSE \(another process listens there/)
    await holder.stop()
    const status = await proxy.until('serving', isServing(1))
    t.equal(status.namespaces[0]?.why, undefined)
  })

  t.test('300 namespaces are attached and let go again', async (t) => {
    const proxy = await startProxy(t, 'intercept.enabled=false')
    const pids = [proxy.pid, ...(await proxy.status()).workers.map(({ pid }) => pid)]
    const before = countDescriptors(pids)
    const names = Array.from({ length: 300 }, () => uniqueName())
    makeEmptyNamespaces(t, names)
    for (const name of names) call(proxy, { netns: name }, 'qrouter', randomUUID())
    await proxy.until('all', isServing(300))
    const { stdout } = await runInNetns(names[150]!, ['ss', '-Hltn', 'sport = :9697'])
    t.match(stdout, 'LISTEN')
    t.match(await proxy.metrics(), /overlapd_proxy_listeners 300\n/)

    const isHeldByAll = (): boolean => countDescriptors(pids) >= before + 3 * 300 - 5
    t.equal(await comesTo(isHeldByAll, true), true, 'every process has a copy')

    for (const link of readdirSync(proxy.netnsFolder)) unlinkSync(join(proxy.netnsFolder, link))
    await proxy.until('none', ({ namespaces }) => namespaces.length === 0)
    // A connection of an operator comes and goes meanwhile.
    const isLetGo = (): boolean => countDescriptors(pids) <= before
    t.equal(await comesTo(isLetGo, true), true, 'no process keeps one')
  })
}
