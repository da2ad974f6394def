import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { doctorChecks } from '../../../lib/operator/doctor-checks.ts'
import type { DaemonFacts, HostFacts } from '../../../lib/operator/host-facts.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const context: HostFacts = {
  daemons: [],
  kernel: '6.1.0-25-amd64',
  configFiles: [],
  netnsFolder: '/nowhere',
  wallTime: Date.UTC(2026, 5, 1),
}

async function find(name: string, more: Partial<HostFacts>) {
  const check = doctorChecks.find((each) => each.name === name)!
  return await check.run({ ...context, ...more })
}

t.test('the clock check refuses times that cannot be', async (t) => {
  t.match(await find('clock', {}), [{ level: 'ok' }])
  for (const wallTime of [0, Date.UTC(2024, 0, 1), Date.UTC(2200, 0, 1), Number.NaN]) {
    t.match(await find('clock', { wallTime }), [{ level: 'fail', remedy: /set-ntp/ }])
  }
})

t.test('the namespaces check reports mounts that do not spread', async (t) => {
  const folder = scratchFolder(t)
  const table = `${folder}/mountinfo`
  const found = async (...lines: readonly string[]) => {
    writeFileSync(table, `${lines.join('\n')}\n`)
    return (await find('namespaces', { netnsFolder: folder, mountTable: table })).slice(1)
  }
  const root = (tag: string): string => `28 1 8:1 / / rw,relatime ${tag}- ext4 /dev/sda1 rw`
  const mine = (tag: string): string => `90 28 0:5 / ${folder} rw ${tag}- tmpfs tmpfs rw`
  t.strictSame(await found(root('shared:1 ')), [])
  t.strictSame(await found(root('master:1 ')), [])
  const unmounted = await found(root(''))
  t.match(unmounted, [{ level: 'warn', what: /^the mount \/ is not shared/, remedy: /rslave/ }])
  t.notMatch(unmounted[0]?.remedy, /make-rshared/, 'the root of the host is not the one to share')
  t.match(await found(root('shared:1 '), mine('')), [{ level: 'warn', remedy: /--make-rshared/ }])
  t.strictSame(await found(root(''), mine('shared:7 ')), [])
  t.match(await found(root(''), '91 28 0:6 / /other rw shared:8 - tmpfs tmpfs rw'), [{}])
})

t.test('the nftables check names the package where the library is missing', async (t) => {
  const folder = scratchFolder(t)
  const found = () => find('nftables', { libraryFolders: ['/nowhere', folder] })
  t.match(await found(), [{ code: 'library_missing', remedy: /apt install libnftables1/ }])
  writeFileSync(`${folder}/libnftables.so.1`, '')
  t.match(await found(), [{ level: 'ok' }])
})

t.test('the namespaces check counts what is there', async (t) => {
  const folder = scratchFolder(t)
  for (const name of ['qrouter-1', 'ovnmeta-2', 'other']) writeFileSync(`${folder}/${name}`, '')
  t.match(await find('namespaces', { netnsFolder: folder }), [
    { level: 'ok', what: `${folder} has 3 namespaces, 2 of Neutron's` },
  ])
})

t.test('the configuration check takes a missing file for what it is', async (t) => {
  t.match(await find('configuration', { configFiles: ['/nowhere/x.yaml'] }), [
    { level: 'ok', what: /does not exist; defaults/ },
  ])
})

const daemon = (name: 'proxy' | 'agent', more: Partial<DaemonFacts> = {}): DaemonFacts => ({
  daemon: name,
  address: '/nowhere/admin.sock',
  health: {
    daemon: name,
    reachable: true,
    state: 'ready',
    ready: true,
    parts: [],
    problems: [],
    served: {},
  },
  status: {},
  process: undefined,
  check: undefined,
  ...more,
})

t.test(
  'the daemons check names the daemon that does not answer, or the right that lacks',
  async (t) => {
    const away = (why: string) =>
      daemon('agent', { health: { daemon: 'agent', reachable: false, why } })
    t.match(await find('daemons', { daemons: [daemon('proxy')] }), [
      { level: 'ok', what: /no guest has been served yet/ },
    ])
    t.match(await find('daemons', { daemons: [away('no daemon listens there')] }), [
      { code: 'agent_down', effect: /503/, remedy: /systemctl start overlapd-agent/ },
    ])
    t.match(await find('daemons', { daemons: [away('this user may not open the socket')] }), [
      { code: 'admin_forbidden', remedy: /sudo/ },
    ])
  },
)

t.test('the versions check finds what runs and is not installed, and an old Node', async (t) => {
  const status = { version: '0.0.1', node: 'v18.1.0' }
  t.match(await find('versions', { daemons: [daemon('proxy', { status })] }), [
    { code: 'version_differs', what: /^runs 0\.0\.1/ },
    { code: 'node_ended', what: 'v18.1.0' },
  ])
  t.strictSame(await find('versions', { daemons: [daemon('proxy')] }), [])
})

t.test('the configuration check reports what the daemon itself would', async (t) => {
  const check = { problems: ['a: expected b'], warnings: ['c'], options: new Map() }
  t.match(await find('configuration', { daemons: [daemon('agent', { check })] }), [
    { code: 'config_invalid', what: 'a: expected b', remedy: /^"overlapd-agent check", until/ },
    { code: 'config_warning', what: 'c' },
  ])
  const command = ['node', '/usr/lib/overlapd/agent-side/main.js', 'serve', '-c', '/srv/a.yaml']
  const process = { pid: 7, userId: 0, groupIds: new Set([0]), capabilities: 0n, command }
  t.match(await find('configuration', { daemons: [daemon('agent', { check, process })] }), [
    { code: 'config_invalid', remedy: /^"overlapd-agent check -c \/srv\/a\.yaml", until/ },
    { code: 'config_warning' },
  ])
})

t.test('the processes check names each capability that lacks', async (t) => {
  const process = {
    pid: 7,
    userId: 0,
    groupIds: new Set([0]),
    capabilities: 1n << 21n,
    command: [],
  }
  t.match(await find('processes', { daemons: [daemon('proxy', { process })] }), [
    { code: 'capability_missing', what: 'CAP_NET_BIND_SERVICE, CAP_NET_ADMIN missing' },
  ])
  const whole = { ...process, capabilities: -1n & 0xffffffffffn }
  t.match(await find('processes', { daemons: [daemon('proxy', { process: whole })] }), [
    { level: 'ok' },
  ])
})

t.test('the kernel check wants what keeps the link header of a SYN', async (t) => {
  t.match(await find('kernel', {}), [{ level: 'ok' }])
  for (const kernel of ['4.19.0', '5.9.1']) {
    t.match(await find('kernel', { kernel }), [{ code: 'kernel_old' }])
  }
})

t.test('the clock check compares with whatever has a date', async (t) => {
  const server = createServer((_request, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const status = { upstreams: [{ url: `http://127.0.0.1:${port}` }, { url: 'http://127.0.0.1:1' }] }
  const daemons = [daemon('agent', { status })]
  t.match(await find('clock', { daemons, wallTime: Date.now() }), [
    { level: 'ok', what: /, as http:\S+ does$/ },
  ])
  t.match(await find('clock', { daemons, wallTime: Date.now() - 3_600_000 }), [
    { code: 'clock_wrong', what: /this host is 3[56]\d\d s behind it/ },
  ])
})

t.test(
  'the disk, files, sockets, haproxies and fence checks find nothing on a quiet host',
  async (t) => {
    t.match(await find('disk', {}), [{}])
    for (const name of ['files', 'sockets', 'ports', 'fence']) {
      t.strictSame(await find(name, { daemons: [daemon('proxy'), daemon('agent')] }), [], name)
    }
    t.ok(Array.isArray(await find('haproxies', {})))
  },
)

t.test(
  'the sockets check finds one that workers cannot open, and an admin socket for all',
  async (t) => {
    const folder = scratchFolder(t)
    const socket = `${folder}/agent.sock`
    writeFileSync(socket, '')
    chmodSync(socket, 0o600)
    const admin = `${folder}/admin.sock`
    writeFileSync(admin, '')
    chmodSync(admin, 0o666)
    const status = { agents: [{ agent: socket }], workers: [{ pid: process.pid }] }
    const proxy = daemon('proxy', { status, address: admin })
    const found = await find('sockets', { daemons: [proxy] })
    t.match(found.at(-1), { code: 'socket_exposed', what: 'its mode is 0666' })
  },
)
