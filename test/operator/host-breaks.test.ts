/** What is wrong with a host around its daemons: does doctor name it, the daemon's health and the page where they can, and does the remedy mend it? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { readFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { askAdminJson } from '../../lib/http/admin-client.ts'
import { checkDisk, checkHaproxies } from '../../lib/operator/checks/of-host.ts'
import type { Finding } from '../../lib/operator/finding.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { DaemonFacts, HostFacts } from '../../lib/operator/host-facts.ts'
import { AgentProgram, agentSocketsIn } from '../support/agent-program.ts'
import {
  makeEmptyNamespaces,
  runProgram,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { makeStage, openFolder, startEchoAgent, startProxyOn } from '../support/running-proxy.ts'
import { TestAuthority } from '../support/test-authority.ts'
import { pageShows } from './break.ts'
import { HostPage } from './host-page.ts'
import { until } from './operator-host.ts'

const operator = fileURLToPath(new URL('../../dist/deploy/overlapd/overlapd.js', import.meta.url))

/** What the page says first: these hosts have one of the daemons. */
const oneIsAway = 'A daemon does not answer'

async function reportOf(socket: string): Promise<HealthReport> {
  return (await askAdminJson(socket, '/ready')).value as HealthReport
}

async function untilProblem(socket: string, code: string): Promise<HealthReport> {
  let last: HealthReport | undefined
  await until(code, async () => {
    last = await reportOf(socket)
    return last.problems.some((one) => one.code === code)
  })
  return last as HealthReport
}

/** After a remedy. */
async function untilMended(socket: string, code: string): Promise<void> {
  await until(`no ${code}`, async () => {
    const { problems } = await reportOf(socket)
    return problems.every((one) => one.code !== code)
  })
}

function factsOf(address: string): HostFacts {
  const agent: DaemonFacts = {
    daemon: 'agent',
    address,
    health: { daemon: 'agent', reachable: false, why: '' },
    status: {},
    process: undefined,
    check: undefined,
  }
  return {
    daemons: [agent],
    configFiles: [],
    netnsFolder: '/nowhere',
    wallTime: Date.now(),
    kernel: '6.1.0',
  }
}

/** An agent alone, with a secret and whatever else it is given. */
async function startAgent(
  t: Test,
  folder: string,
  config: Readonly<Record<string, unknown>>,
): Promise<AgentProgram> {
  writeFileSync(join(folder, 'secret'), 's3cr3t')
  writeFileSync(join(folder, 'ports.json'), '{}')
  const agent = AgentProgram.spawn({
    sockets: agentSocketsIn(folder),
    configFile: join(folder, 'agent.json'),
    config: {
      ports: { kind: 'static', static: { file: join(folder, 'ports.json') } },
      compute: {
        upstreams: ['http://127.0.0.1:1'],
        shared_secret_file: join(folder, 'secret'),
        probe_interval: '60s',
        ...(config['compute'] as object | undefined),
      },
      ...(config['listeners'] !== undefined && { listeners: config['listeners'] }),
    },
  })
  t.teardown(() => agent.stop())
  return agent
}

if (skipUnlessPrivileged(t)) {
  t.test('one of two agents is down: the other one answers, and it is named', async (t) => {
    const stage = await makeStage(t)
    const second = join(stage.folder, 'second.sock')
    await startEchoAgent(t, second)
    const agents = [join(stage.folder, 'agent.sock'), second]
    const proxy = await startProxyOn(t, stage, { set: [`agents=${JSON.stringify(agents)}`] })
    renameSync(second, `${second}.gone`)
    const { state, problems } = await untilProblem(proxy.adminSocket, 'agent_unreachable')
    t.equal(state, 'degraded')
    t.match(problems, [{ code: 'agent_unreachable', howMany: 1, of: 2, what: /second\.sock/ }])
    t.match(problems[0]?.effect, /served by the other agents/)
    const page = await HostPage.open(t, { proxy: proxy.adminSocket, agent: '/nowhere/agent.sock' })
    await pageShows(t, page, { words: oneIsAway, ...problems[0], code: 'agent_unreachable' })
    renameSync(`${second}.gone`, second)
    await untilMended(proxy.adminSocket, 'agent_unreachable')
  })

  t.test('the limit of open files is too low', async (t) => {
    const stage = await makeStage(t)
    const names = Array.from({ length: 40 }, () => uniqueName())
    makeEmptyNamespaces(t, names)
    const proxy = await startProxyOn(t, stage, { set: ['workers.count=1'] })
    const limit = readdirSync(`/proc/${proxy.pid}/fd`).length + 20
    await runProgram(['prlimit', `--pid=${proxy.pid}`, `--nofile=${limit}:${limit}`])
    for (const name of names) {
      symlinkSync(`/run/netns/${name}`, join(stage.netnsFolder, `qrouter-${randomUUID()}`))
    }
    const { state, problems } = await untilProblem(proxy.adminSocket, 'files_exhausted')
    t.not(state, 'ready')
    const problem = problems.find(({ code }) => code === 'files_exhausted')
    t.match(problem, { what: /EMFILE/, remedy: /LimitNOFILE/ })
    const page = await HostPage.open(t, { proxy: proxy.adminSocket, agent: '/nowhere/agent.sock' })
    await pageShows(t, page, { words: oneIsAway, ...problem, code: 'files_exhausted' })
    const causes = proxy.log().match(/Cannot listen in namespace as wanted/g) ?? []
    t.ok(causes.length < 10, `a cause is logged once, not for each namespace: ${causes.length}`)
    await proxy.stop()
    const next = await startProxyOn(t, stage, { set: ['workers.count=1'] })
    const { namespaces } = await next.until('served', (status) =>
      status.namespaces.every(({ state }) => state === 'serving'),
    )
    t.equal(namespaces.length, names.length)
    await untilMended(next.adminSocket, 'files_exhausted')
  })

  t.test('the certificate of Nova is of a strange authority', async (t) => {
    const folder = openFolder(t)
    const [ours, theirs] = [new TestAuthority(folder, 'ours'), new TestAuthority(folder, 'theirs')]
    const { certificateFile, keyFile } = theirs.issue({
      commonName: 'nova',
      ipAddresses: ['127.0.0.1'],
    })
    let requests = 0
    const server = createServer(
      { cert: readFileSync(certificateFile), key: readFileSync(keyFile) },
      (_request, response) => {
        requests += 1
        response.end()
      },
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const upstreams = [`https://127.0.0.1:${port}`]
    const compute = { upstreams, tls: { ca_file: ours.caFile } }
    const agent = await startAgent(t, folder, { compute })
    const { admin } = agentSocketsIn(folder)
    const { problems } = await untilProblem(admin, 'no_compute')
    t.match(problems, [{ what: /certificate|CERT/i }])
    const page = await HostPage.open(t, { proxy: '/nowhere/proxy.sock', agent: admin })
    await pageShows(t, page, { words: oneIsAway, ...problems[0], code: 'no_compute' })
    await agent.stop()
    await startAgent(t, folder, { compute: { upstreams, tls: { ca_file: theirs.caFile } } })
    await until('compute is asked', async () => requests > 0)
    await untilMended(admin, 'no_compute')
  })

  t.test('the certificate of the agent has ended', async (t) => {
    const folder = openFolder(t)
    const authority = new TestAuthority(folder, 'site')
    const { certificateFile, keyFile } = authority.issue({ commonName: 'agent', isOver: true })
    const tls = { certificate_file: certificateFile, key_file: keyFile, ca_file: authority.caFile }
    const proxies = [{ name: 'host-1', scopes: ['*'] }]
    const listeners = (own: object) => [
      { kind: 'overlapd', tcp: '127.0.0.1:0', tls: { ...tls, ...own }, proxies },
    ]
    const agent = await startAgent(t, folder, { listeners: listeners({}) })
    await until('it ends', async () => !agent.isRunning)
    t.match(agent.log, /agent-1\.pem|site-1\.pem/, 'it names the file')
    t.match(agent.log, /ended|expired|is over/)
    const { admin } = agentSocketsIn(folder)
    const page = await HostPage.open(t, { proxy: '/nowhere/proxy.sock', agent: admin })
    const overview = await page.overview()
    t.match(overview, 'does not exist; is the daemon running?', 'the page says that it is down')
    t.match(overview, oneIsAway)
    const issued = authority.issue({ commonName: 'agent' })
    const fresh = { certificate_file: issued.certificateFile, key_file: issued.keyFile }
    await startAgent(t, folder, { listeners: listeners(fresh) })
    await until('it listens', async () =>
      (await reportOf(admin)).parts.some(({ name, ready }) => name === 'listeners' && ready),
    )
  })

  t.test('the configuration of a daemon that runs was changed into a bad one', async (t) => {
    const folder = openFolder(t)
    const agent = await startAgent(t, folder, {})
    const sockets = agentSocketsIn(folder)
    await until('it answers', async () => (await reportOf(sockets.admin)).parts.length > 0)
    const file = join(folder, 'agent.json')
    const good = readFileSync(file)
    const invalid = async (): Promise<readonly Finding[]> => {
      const words = ['doctor', '--json', '--only', 'agent', '--agent', sockets.admin]
      const { code, stdout } = await runProgram([
        ...['env', '-i', `PATH=${process.env['PATH']}`, process.execPath, operator],
        ...words,
      ])
      const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
      t.equal(code, findings.some(({ level }) => level === 'fail') ? 1 : 0)
      return findings.filter((one) => one.code === 'config_invalid')
    }
    writeFileSync(file, '{"souce_mac":"off"}')
    const found = await invalid()
    t.match(found.map(({ what }) => what).join(), /souce_mac: unknown key; did you mean source_mac/)
    t.match(found, [{ level: 'fail', remedy: /"overlapd-agent check"/ }])
    t.ok(agent.isRunning, 'it runs on with what it has loaded')
    const { state } = await reportOf(sockets.admin)
    const page = await HostPage.open(t, { proxy: '/nowhere/proxy.sock', agent: sockets.admin })
    t.notMatch(await page.overview(), 'config_invalid', `the page shows how it runs: ${state}`)
    writeFileSync(file, good)
    t.strictSame(await invalid(), [])
  })

  t.test('the disk of the state is full', async (t) => {
    const folder = openFolder(t)
    const full = join(folder, 'full')
    mkdirSync(full)
    await runProgram(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'overlapd-test', full])
    t.teardown(() => runProgram(['umount', full]))
    const address = join(full, 'admin.sock')
    const disk = (): readonly Finding[] =>
      checkDisk(factsOf(address)).filter(({ about }) => about === full)
    t.strictSame(disk(), [])
    await runProgram(['dd', 'if=/dev/zero', `of=${join(full, 'x')}`, 'bs=1k', 'count=64'])
    t.match(disk(), [
      { code: 'disk_full', level: 'fail', effect: /Logs are lost/, remedy: /remove/ },
    ])
    await runProgram(['rm', join(full, 'x')])
    t.strictSame(disk(), [])
  })

  t.test('haproxies of Neutron are left over', async (t) => {
    const config = '/var/lib/neutron/ns-metadata-proxy/x.conf'
    const child = spawn('sleep', ['60'], { argv0: 'haproxy' })
    t.teardown(() => child.kill())
    t.notOk(
      checkHaproxies().some(({ what }) => what.includes(String(child.pid))),
      'not Neutron’s',
    )
    const script = 'setTimeout(() => undefined, 60_000)'
    const theirs = spawn(process.execPath, ['-e', script, '--', '-f', config], {
      argv0: 'haproxy',
      env: {},
    })
    t.teardown(() => theirs.kill())
    await once(theirs, 'spawn')
    t.match(checkHaproxies(), [{ code: 'haproxy_left', remedy: /adopt/ }])
    t.match(checkHaproxies()[0]?.what, String(theirs.pid))
    // What "adopt --stop-haproxy" does is shown by test/netns/haproxy.test.ts, with a real one.
    const ended = once(theirs, 'exit')
    theirs.kill()
    await ended
    t.strictSame(checkHaproxies(), [])
  })
}
