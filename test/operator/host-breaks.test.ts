/** What is wrong with a host around its daemons: does doctor name it, the daemon's health and the page where they can, and does the remedy mend it? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { readFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { requestAdminJson } from '../../lib/http/admin-client.ts'
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
import { carryOut, installPrograms, runAsPrinted } from './remedies.ts'

const operator = fileURLToPath(new URL('../../dist/deploy/overlapd/overlapd.js', import.meta.url))

/** What the page says first: these hosts have one of the daemons. */
const oneIsAway = 'A daemon does not answer'

async function reportOf(socket: string): Promise<HealthReport> {
  return (await requestAdminJson(socket, '/ready')).value as HealthReport
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

/** What doctor finds of one code, where only an agent is to be looked at. */
async function doctorFindings(t: Test, admin: string, code: string): Promise<readonly Finding[]> {
  const words = ['doctor', '--json', '--only', 'agent', '--agent', admin]
  const { code: exitCode, stdout } = await runProgram([
    ...['env', '-i', `PATH=${process.env['PATH']}`, process.execPath, operator],
    ...words,
  ])
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] }
  t.equal(exitCode, findings.some(({ level }) => level === 'fail') ? 1 : 0)
  return findings.filter((one) => one.code === code)
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
    // The host of that agent has no proxy, and its health says that the agent is away.
    const adminOf = (): string => `${second}.admin`
    t.equal(await carryOut(t, { adminOf, hasOne: true }, problems[0]?.remedy ?? ''), 1)
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
    // "systemctl edit" is an editor on a host with units: a limit is raised here by a start without the lower one.
    await carryOut(t, { adminOf: () => proxy.adminSocket, hasOne: true }, problem?.remedy ?? '')
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
    const mended = async (): Promise<void> => {
      await agent.stop()
      await startAgent(t, folder, { compute: { upstreams, tls: { ca_file: theirs.caFile } } })
    }
    const host = { adminOf: () => admin, startAgent: mended }
    t.equal(await carryOut(t, host, problems[0]?.remedy ?? ''), 1)
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
    const [down] = await doctorFindings(t, admin, 'agent_down')
    const mended = async (): Promise<void> => {
      await startAgent(t, folder, { listeners: listeners(fresh) })
    }
    t.equal(
      await carryOut(t, { adminOf: () => admin, startAgent: mended }, down?.remedy ?? ''),
      1,
      'systemctl start overlapd-agent',
    )
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
    const invalid = (): Promise<readonly Finding[]> =>
      doctorFindings(t, sockets.admin, 'config_invalid')
    const bin = installPrograms(folder)
    writeFileSync(file, '{"souce_mac":"off"}')
    const found = await invalid()
    t.match(found.map(({ what }) => what).join(), /souce_mac: unknown key; did you mean source_mac/)
    t.match(found, [{ level: 'fail', remedy: /"overlapd-agent check -c / }])
    t.ok(agent.isRunning, 'it runs on with what it has loaded')
    const { state } = await reportOf(sockets.admin)
    const page = await HostPage.open(t, { proxy: '/nowhere/proxy.sock', agent: sockets.admin })
    t.notMatch(await page.overview(), 'config_invalid', `the page shows how it runs: ${state}`)
    const command = /"(overlapd-agent check[^"]*)"/.exec(found[0]?.remedy ?? '')?.[1] ?? ''
    const refused = await runAsPrinted(bin, '', command)
    t.equal(refused.code, 2)
    t.match(refused.stderr, /souce_mac: unknown key; did you mean source_mac/)
    writeFileSync(file, good)
    t.match(await runAsPrinted(bin, '', command), { code: 0, stderr: '' })
    t.strictSame(await invalid(), [])
  })

  t.test('the disk of the state is full', async (t) => {
    const folder = openFolder(t)
    const full = join(folder, 'full')
    mkdirSync(full)
    await runProgram(['mount', '-t', 'tmpfs', '-o', 'size=216m', 'overlapd-test', full])
    t.teardown(() => runProgram(['umount', full]))
    const address = join(full, 'admin.sock')
    const disk = (): readonly Finding[] =>
      checkDisk(factsOf(address)).filter(({ about }) => about === full)
    t.strictSame(disk(), [])
    // Journals that were closed long ago, by the names that journald gives them.
    const id = existsSync('/etc/machine-id')
      ? readFileSync('/etc/machine-id', 'utf8').trim()
      : 'c'.repeat(32)
    const journals = join(full, 'journal', id)
    mkdirSync(journals, { recursive: true })
    for (let count = 1; count <= 9; count += 1) {
      const name = `system@${'a'.repeat(32)}-${String(count).padStart(16, '0')}-00060000000000${count}0.journal`
      await runProgram(['dd', 'if=/dev/zero', `of=${join(journals, name)}`, 'bs=1M', 'count=24'])
    }
    const [found] = disk()
    t.match(found, { code: 'disk_full', level: 'fail', effect: /Logs are lost/, remedy: /remove/ })
    const command = /"([^"]+)"/.exec(found?.remedy ?? '')?.[1] ?? ''
    // The journals of this machine are out of its reach.
    const around = `mount -t tmpfs none /run; mount --bind ${full} /var/log`
    t.match(await runAsPrinted(folder, around, command), { code: 0, stderr: /freed/ })
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
    // This one has no socket to take over: test/netns/haproxy.test.ts runs the printed "adopt" with a real haproxy.
    const ended = once(theirs, 'exit')
    theirs.kill()
    await ended
    t.strictSame(checkHaproxies(), [])
  })
}
