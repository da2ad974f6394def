/** Is each way in which a host breaks said by health, /ready, doctor, audit, metrics and log, and does the remedy mend it? */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { devSecret } from '../support/dev-compute.ts'
import { makeNamespaces, runInNetns, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { tryBreak, type Break } from './break.ts'
import { OperatorHost, until } from './operator-host.ts'

/** A process that listens in a namespace, as whatever somebody has started there. */
async function listenIn(
  netns: string,
  address: string,
  tcpPort: number,
  ...words: readonly string[]
): Promise<ChildProcess> {
  const program = `require('node:net').createServer().listen(${tcpPort}, '${address}', () => console.log('listening'))`
  const command = ['netns', 'exec', netns, process.execPath, '-e', program, '--', ...words]
  const child = spawn('ip', command, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  })
  await once(child.stdout, 'data')
  return child
}

if (skipUnlessPrivileged(t)) {
  const host = await OperatorHost.start(t)
  const usual = (): Promise<void> => host.startAgent()
  /** Names of namespaces that a break has made. */
  const made = { netns: '', name: '' }

  const nameAnother = (kind: 'qrouter' | 'qdhcp', addresses: readonly string[]): void => {
    made.netns = uniqueName()
    makeNamespaces(t, [
      { netns: made.netns, interface: 'tap0', addresses, guest: { addresses: [] } },
    ])
    made.name = `${kind}-${randomUUID()}`
  }
  const unname = (): void => rmSync(join(host.file('netns'), made.name), { force: true })

  writeFileSync(host.file('transport-url'), 'rabbit://u:p@127.0.0.1:1/')
  const directories: readonly (readonly [string, object])[] = [
    ['neutron-rest', { neutron_rest: { auth_type: 'none', endpoint: 'http://127.0.0.1:1' } }],
    ['ovn', { ovn: { ovn_sb_connection: ['tcp:127.0.0.1:1'] } }],
    ['neutron-rpc', { neutron_rpc: { transport_url_file: host.file('transport-url') } }],
  ]

  const breaks: readonly Break[] = [
    {
      name: 'the secret is not that of Nova',
      daemon: 'agent',
      code: 'secret_refused',
      state: 'not_ready',
      log: /Compute refuses our signature/,
      async breakIt(t) {
        writeFileSync(host.file('secret'), 'wrong')
        await host.startAgent()
        t.match(await host.ask(), '403')
      },
      mend: async () => writeFileSync(host.file('secret'), devSecret),
    },
    {
      name: 'the secret is not that of Nova, and no guest asks',
      isSlow: true,
      daemon: 'agent',
      code: 'secret_refused',
      state: 'not_ready',
      log: /Compute refuses our signature/,
      async breakIt() {
        writeFileSync(host.file('secret'), 'wrong')
        await host.startAgent()
      },
      mend: async () => writeFileSync(host.file('secret'), devSecret),
    },
    {
      name: 'Nova is down',
      daemon: 'agent',
      code: 'no_compute',
      state: 'not_ready',
      names: /ECONNREFUSED/,
      async breakIt(t) {
        await host.stopCompute()
        t.match(await host.ask(), '503')
      },
      mend: () => host.startCompute(),
    },
    {
      name: 'Nova is down, and no guest asks',
      isSlow: true,
      daemon: 'agent',
      code: 'no_compute',
      state: 'not_ready',
      async breakIt() {
        await host.stopCompute()
        await host.startAgent()
      },
      mend: () => host.startCompute(),
    },
    {
      name: 'one of two endpoints of Nova is down',
      daemon: 'agent',
      code: 'compute_down',
      state: 'degraded',
      names: /127\.0\.0\.1:1:/,
      breakIt: () =>
        host.startAgent({
          compute: {
            upstreams: ['http://127.0.0.1:1', host.computeUrl],
            probe_interval: '60s',
            shared_secret_file: host.file('secret'),
          },
        }),
      mend: usual,
    },
    {
      name: 'Nova takes four seconds',
      isSlow: true,
      daemon: 'agent',
      code: 'compute_slow',
      state: 'degraded',
      names: /takes [345]\.\d s/,
      async breakIt() {
        host.writePorts([], [{ path: '.*', delay: 3.1 }])
        await host.stopCompute()
        await host.startCompute()
        await Promise.all(['a', 'b', 'c', 'd'].map(() => host.ask()))
      },
      async mend() {
        host.writePorts()
        await host.stopCompute()
        await host.startCompute()
        await host.startAgent()
      },
    },
    {
      name: 'the file of ports is changed into a bad one',
      daemon: 'agent',
      code: 'directory_impaired',
      state: 'degraded',
      log: /File of ports cannot be used/,
      async breakIt(t) {
        writeFileSync(host.file('ports.json'), '{"networks": [')
        t.match(await host.ask(), '200', 'what was known before is used')
      },
      mend: async () => host.writePorts(),
    },
    {
      name: 'the file of ports is not there',
      daemon: 'agent',
      code: 'directory_not_ready',
      state: 'not_ready',
      names: /ENOENT/,
      async breakIt() {
        rmSync(host.file('ports.json'))
        await host.startAgent()
      },
      mend: async () => host.writePorts(),
    },
    ...directories.map(([kind, ports]): Break => ({
      name: `the source of the directory ${kind} is away`,
      daemon: 'agent',
      code: 'directory_not_ready',
      state: 'not_ready',
      names: new RegExp(`${kind}: `),
      log: /"level":"warn"/,
      breakIt: () => host.startAgent({ ports: { kind, ...ports } }),
      mend: usual,
    })),
    {
      name: 'the agent is stopped',
      daemon: 'proxy',
      code: 'no_agent',
      state: 'not_ready',
      page: 'A daemon does not answer',
      breakIt: () => host.stopAgent(),
    },
    {
      name: 'the agent hangs',
      isSlow: true,
      daemon: 'proxy',
      code: 'no_agent',
      state: 'not_ready',
      async breakIt() {
        host.agent.signal('SIGSTOP')
        await host.untilProblem('proxy', 'no_agent')
        host.agent.signal('SIGCONT')
        await host.stopAgent()
      },
      page: 'A daemon does not answer',
    },
    {
      name: 'two ports have one address and one MAC',
      daemon: 'agent',
      code: 'guests_refused',
      finding: 'ambiguous_address',
      state: 'degraded',
      names: /ambiguous_address/,
      log: /ambiguous_port/,
      async breakIt() {
        host.writePorts([host.twin()])
        await until('refused', async () => (await host.ask()).includes('404'))
      },
      notRun: 'it needs the client of OpenStack',
      async mend() {
        host.writePorts()
        await host.startAgent()
      },
    },
    {
      name: 'the workers of this host are fenced, and no supervisor reports',
      isSlow: true,
      daemon: 'agent',
      code: 'fence_closed',
      state: 'not_ready',
      async breakIt() {
        const socket = host.file('other.sock')
        await host.startAgent({ served_scopes: { fence: 'always', socket } })
        await until('it is over that it starts', async () =>
          host.agent.log.includes('fence_closed'),
        )
      },
      mend: usual,
    },
    {
      name: 'a listener of the agent has the wrong mode',
      daemon: 'proxy',
      code: 'no_agent',
      state: 'not_ready',
      names: /EACCES/,
      async breakIt(t) {
        await host.startAgent()
        chmodSync(host.sockets.agent, 0o600)
        await host.startProxy()
        const { findings } = await host.doctor()
        const closed = findings.find(({ code }) => code === 'socket_closed')
        t.match(closed?.what, /cannot open it: .*agent\.sock is 0600/, 'doctor names the mode')
      },
      mend: usual,
    },
    {
      name: 'a process holds the port in a router',
      daemon: 'proxy',
      code: 'foreign_listener',
      state: 'degraded',
      names: /TCP port 9697 is held by process \d+/,
      async breakIt() {
        nameAnother('qrouter', ['10.0.1.1/24'])
        await listenIn(made.netns, '0.0.0.0', 9697)
        host.name(made.netns, made.name)
      },
      async cleanUp() {
        await host.proxy.until('both served', ({ namespaces }) =>
          namespaces.every(({ state }) => state === 'serving'),
        )
        unname()
      },
    },
    {
      name: 'a stranger answers on the metadata address',
      daemon: 'proxy',
      code: 'foreign_listener',
      state: 'degraded',
      names: /Guests get the answers of that process/,
      async breakIt() {
        nameAnother('qdhcp', ['169.254.169.254/32', 'fe80::a9fe:a9fe/64'])
        await listenIn(made.netns, '169.254.169.254', 80)
        host.name(made.netns, made.name)
      },
      cleanUp: async () => unname(),
    },
    {
      name: 'a haproxy of Neutron is left over',
      daemon: 'proxy',
      code: 'haproxy_left',
      state: 'degraded',
      async breakIt(t) {
        nameAnother('qrouter', ['10.0.1.1/24'])
        const child = await listenIn(
          made.netns,
          '0.0.0.0',
          9697,
          ...['haproxy', '-f', '/var/lib/neutron/ns-metadata-proxy/x.conf'],
        )
        t.teardown(() => child.kill())
        host.name(made.netns, made.name)
      },
      mend: async () => unname(),
      notRun: 'this is no haproxy of Neutron: test/netns/haproxy.test.ts takes one over',
    },
    {
      name: 'rules are removed again and again',
      daemon: 'proxy',
      code: 'rules_removed',
      state: 'degraded',
      names: /last by nft \(process \d+\)/,
      log: /Our rules were changed by another program.*|"by":"nft/,
      async breakIt(t) {
        for (let count = 1; count <= 3; count += 1) {
          await runInNetns(host.netns, ['nft', 'flush', 'ruleset'])
          const begun = performance.now()
          await until('loaded again', async () => {
            const { stdout } = await runInNetns(host.netns, ['nft', 'list', 'ruleset'])
            return stdout.includes('table inet overlapd')
          })
          t.comment(`loaded again after ${Math.round(performance.now() - begun)} ms`)
          t.match(await host.ask(), '200')
        }
      },
      // Ten minutes are not waited for: a proxy that starts has seen none.
      mend: () => host.startProxy(),
    },
    {
      name: 'a name has no namespace behind it',
      daemon: 'proxy',
      code: 'namespace_not_mounted',
      state: 'degraded',
      async breakIt() {
        made.name = `qrouter-${randomUUID()}`
        writeFileSync(join('/run/netns', made.name), '')
        symlinkSync(join('/run/netns', made.name), join(host.file('netns'), made.name))
      },
      async cleanUp(t) {
        t.notOk(existsSync(join('/run/netns', made.name)))
        unname()
      },
    },
    {
      name: 'two names of one namespace contradict each other',
      daemon: 'proxy',
      code: 'namespace_refused',
      state: 'not_ready',
      async breakIt() {
        made.name = `qdhcp-${randomUUID()}`
        host.name(host.netns, made.name)
      },
      mend: async () => unname(),
    },
    {
      name: 'a namespace lacks the metadata address',
      daemon: 'proxy',
      code: 'address_missing',
      state: 'degraded',
      names: /ipv6_address_missing/,
      async breakIt() {
        nameAnother('qdhcp', [])
        host.name(made.netns, made.name)
      },
      mend: async () => unname(),
    },
    {
      name: 'CAP_NET_ADMIN is missing',
      daemon: 'proxy',
      code: 'capability_missing',
      state: 'not_ready',
      names: /CAP_NET_ADMIN/,
      log: /CAP_NET_ADMIN is missing/,
      breakIt: () => host.startProxy(['setpriv', '--bounding-set', '-net_admin', 'env', '-i']),
      mend: () => host.startProxy(),
    },
    {
      name: 'CAP_SYS_ADMIN is missing',
      isSlow: true,
      daemon: 'proxy',
      code: 'capability_missing',
      state: 'not_ready',
      names: /CAP_SYS_ADMIN/,
      breakIt: () => host.startProxy(['setpriv', '--bounding-set', '-sys_admin', 'env', '-i']),
      mend: () => host.startProxy(),
    },
    {
      name: 'workers die again and again',
      isSlow: true,
      daemon: 'proxy',
      code: 'workers_restart',
      state: 'degraded',
      log: /Worker died/,
      async breakIt() {
        for (let count = 0; count < 3; count += 1) {
          const { workers } = await host.proxy.until('workers', (status) =>
            status.workers.every(({ state }) => state === 'ready'),
          )
          process.kill(workers[0]?.pid ?? 0, 'SIGKILL')
          await host.proxy.until('a death', (status) =>
            status.workers.every(({ pid }) => pid !== workers[0]?.pid),
          )
        }
        await host.proxy.until('workers', (status) =>
          status.workers.every(({ state }) => state === 'ready'),
        )
      },
      // Five minutes are not waited for: a proxy that starts has seen none.
      mend: () => host.startProxy(),
    },
  ]

  t.test('a host that is well reports it, and that a guest was served', async (t) => {
    t.match(await host.ask(), '200')
    t.type((await host.report('proxy')).served.guest, 'string', 'it does not wait for a heartbeat')
    const { exitCode, out } = await host.command('health')
    t.equal(exitCode, 0)
    t.match(
      out,
      /^proxy: ready; a guest was served at 20.*\nagent: ready; a guest was served at 20/,
    )
    const { findings } = await host.doctor()
    t.strictSame(
      findings.filter(({ level }) => level === 'fail'),
      [],
    )
    t.equal((await host.audit()).exitCode, 0)
  })

  const takesAll = process.env['OVERLAPD_TEST_SLOW'] === '1'
  if (!takesAll) t.comment('the slow breaks are left to "npm run test:operator"')
  for (const [index, one] of breaks.entries()) {
    if (one.isSlow === true && !takesAll) continue
    t.test(`break ${index + 1}: ${one.name}`, async (t) => tryBreak(t, host, one))
  }
}
