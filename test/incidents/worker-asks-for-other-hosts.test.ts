// A worker that was broken into could ask the agent of its host for the guests of every network of the cloud, and was answered. Right:
// it is answered for what its host serves and for nothing else, whoever restarts meanwhile.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fenceFindings } from '../../lib/operator/fence-findings.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import { scopesSocketBeside } from '../../lib/wire/served-scopes.ts'
import { AgentProgram, agentSocketsIn } from '../support/agent-program.ts'
import { capabilitiesOfUnit } from '../support/capabilities-of-unit.ts'
import { devSecret, runDevCompute } from '../support/dev-compute.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import {
  openFolder,
  startProxyOn,
  type ProxyStart,
  type RunningProxy,
} from '../support/running-proxy.ts'
import { nobody, startWorkerAccount } from '../support/worker-account.ts'

const others = 1_000
const own = [1, 2]
const late = 3

const digits = (number: number): string => String(number).padStart(12, '0')
const networkOf = (number: number): string => `5a21ee00-0000-4000-8000-${digits(number)}`
const macOf = (number: number): string =>
  `fa:16:3e:00:${[number >> 8, number & 0xff].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`

async function fenceOf(admin: string): Promise<ReturnType<typeof fenceFindings>> {
  return fenceFindings((await requestAdminJson(admin, '/status')).value)
}

/** A network with one guest for each number; all guests have one address. */
function topology(): string {
  const numbers = Array.from({ length: others + late + 1 }, (_, number) => number).slice(1)
  return JSON.stringify({
    networks: numbers.map((number) => ({ id: networkOf(number), project: 'p' })),
    instances: numbers.map((number) => ({
      id: `4ee3a778-0000-4000-8000-${digits(number)}`,
      project: 'p',
      ports: [{ network: networkOf(number), mac: macOf(number), fixed_ips: ['10.0.0.10'] }],
    })),
  })
}

/** What a worker sends for a guest of a network. */
function head(number: number, header = 'X-Neutron-Network-ID'): string {
  const mac = header === 'X-OVN-Network-ID' ? '' : `X-Overlapd-Source-MAC: ${macOf(number)}\r\n`
  return `GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}: ${networkOf(number)}\r\nX-Forwarded-For: 10.0.0.10\r\n${mac}\r\n`
}

async function host(t: Test, servedScopes: Readonly<Record<string, unknown>> = {}) {
  const folder = openFolder(t)
  const netnsFolder = join(folder, 'netns')
  mkdirSync(netnsFolder)
  const text = topology()
  const compute = await runDevCompute(text)
  t.teardown(() => compute.closeAll())
  writeFileSync(join(folder, 'topology.json'), text)
  writeFileSync(join(folder, 'secret'), devSecret, { mode: 0o600 })
  const sockets = agentSocketsIn(folder)
  const foreign = join(folder, 'ovn.sock')
  const options = {
    sockets,
    configFile: join(folder, 'agent.json'),
    config: {
      listeners: [
        { kind: 'overlapd', socket: sockets.agent, mode: 'all' },
        { kind: 'neutron', flavour: 'ovn', socket: foreign, mode: 'all' },
      ],
      ports: { kind: 'static', static: { file: join(folder, 'topology.json') } },
      compute: { upstreams: [compute.url], shared_secret_file: join(folder, 'secret') },
      served_scopes: servedScopes,
      limits: { timeout_drain: '1s' },
    },
  }
  let agent = await AgentProgram.start(options)
  t.teardown(() => agent.stop())
  const names = [...own, late].map(() => uniqueName())
  makeEmptyNamespaces(t, names)
  const serve = (number: number): void => {
    symlinkSync(`/run/netns/${names[number - 1]!}`, join(netnsFolder, `qdhcp-${networkOf(number)}`))
  }
  for (const number of own) serve(number)
  const startProxy = async (start?: ProxyStart): Promise<RunningProxy> => {
    const proxy = await startProxyOn(t, { folder, netnsFolder }, start)
    await proxy.until('serving', ({ namespaces }) =>
      namespaces.every(({ state }) => state === 'serving'),
    )
    return proxy
  }
  const fence = async (): Promise<unknown> => {
    const { value } = await requestAdminJson(sockets.admin, '/status')
    return (value as { readonly servedScopes: unknown }).servedScopes
  }
  return {
    folder,
    sockets,
    foreign,
    scopesSocket: scopesSocketBeside(sockets.agent),
    serve,
    startProxy,
    fence,
    log: () => agent.log,
    async restartAgent() {
      await agent.stop()
      agent = AgentProgram.spawn(options)
    },
    untilReady: () => agent.untilReady(sockets),
  }
}

/** Asks for the own networks and for those of other hosts; right is: all of the former, none of the latter. */
async function isFenced(
  t: Test,
  ask: (heads: readonly string[]) => Promise<readonly string[]>,
  {
    served = own,
    header,
    asked = 100,
  }: {
    readonly served?: readonly number[]
    readonly header?: string
    /** Networks of other hosts. */
    readonly asked?: number
  } = {},
): Promise<void> {
  const foreign = Array.from({ length: asked }, (_, index) => late + 1 + index)
  const endings = await ask([...served, ...foreign].map((number) => head(number, header)))
  t.strictSame(
    endings.slice(0, served.length),
    served.map(() => '200'),
  )
  const ofOthers = endings.slice(served.length)
  t.equal(ofOthers.length, asked)
  t.strictSame([...new Set(ofOthers)], ['503 scope_not_served'])
}

if (skipUnlessPrivileged(t)) {
  t.test('a worker is answered for its own host alone', async (t) => {
    const { sockets, foreign, fence, log, startProxy, serve, ...stage } = await host(t)
    const worker = startWorkerAccount(t)
    const outside = await worker.ask(sockets.agent, [head(900)])
    t.strictSame(outside, ['200'], 'as long as no supervisor reports')
    t.match(await fenceOf(sockets.admin), [{ code: 'fence_open' }])

    const proxy = await startProxy()
    const accounts = (await proxy.status()).workers.map(({ pid }) => statSync(`/proc/${pid}`).uid)
    t.strictSame([...new Set(accounts)], [nobody])
    t.match(await fence(), { state: 'closed', scopes: 2, supervisors: 1, areWorkersApart: true })
    t.match(await fenceOf(sockets.admin), [{ level: 'ok' }])
    t.match((await proxy.status()).servedScopes, [{ state: 'accepted', scopes: 2 }])
    t.match(await proxy.metrics(), /overlapd_proxy_reported_scopes\{agent=".*"\} 2/)
    const began = Date.now()
    await isFenced(t, (heads) => worker.ask(sockets.agent, heads), { asked: others })
    t.comment(`${others} refused in ${Date.now() - began} ms`)

    // Not by disguise, while the proxies of others go on as before.
    await isFenced(t, (heads) => worker.ask(foreign, heads), { header: 'X-OVN-Network-ID' })
    const haproxy = startWorkerAccount(t, 61_000)
    t.strictSame(await haproxy.ask(foreign, [head(900, 'X-OVN-Network-ID')]), ['200'])
    const { body } = await requestAdmin(
      sockets.admin,
      `/explain?network=${networkOf(900)}&ip=10.0.0.10`,
    )
    t.match(body, /"served":"not reported","workers":"refused"/)

    // Not by reports of its own.
    t.strictSame(await worker.ask(stage.scopesSocket, ['{"kind":"begin","workers":0}\n']), [
      'PermissionError',
    ])
    chmodSync(stage.scopesSocket, 0o666)
    const reports = [
      'begin","workers":0}',
      `add","scopes":["network/${networkOf(900)}"]}`,
      'complete"}',
    ]
    const report = reports.map((rest) => `{"kind":"${rest}\n`).join('')
    t.match(await worker.ask(stage.scopesSocket, [report]), [
      /^(?:nothing|ConnectionResetError|BrokenPipeError)$/,
    ])
    t.match(await fence(), { state: 'closed', scopes: 2, supervisors: 1 })
    t.match(await requestAdmin(sockets.admin, '/metrics'), {
      body: /refused_connections_total\{why="scopes_account"\} 1/,
    })

    // A new network is known before its first guest can ask.
    serve(late)
    t.strictSame(await worker.ask(sockets.agent, [head(late)]), ['200'])
    await proxy.until('three served', ({ namespaces }) => namespaces.length === 3)
    await isFenced(t, (heads) => worker.ask(sockets.agent, heads), { served: [...own, late] })

    t.notMatch(log(), /internal_error/)
  })

  t.test('restarts of the supervisor and of the agent leave no gap', async (t) => {
    const { sockets, fence, startProxy, restartAgent, untilReady } = await host(t)
    const worker = startWorkerAccount(t)
    const first = await startProxy()
    const { workers } = await first.status()
    t.teardown(() => {
      for (const { pid } of workers) killIfThere(pid)
    })
    process.kill(first.pid, 'SIGKILL')
    await first.ended
    await isFenced(t, (heads) => worker.ask(sockets.agent, heads))
    t.match(await fence(), { state: 'closed', scopes: 2, supervisors: 0 })
    t.match(await fenceOf(sockets.admin), [{ code: 'fence_closed' }])

    await startProxy()
    t.match(await fence(), { state: 'closed', scopes: 2, supervisors: 1 })
    await isFenced(t, (heads) => worker.ask(sockets.agent, heads))

    await restartAgent()
    const began = Date.now()
    // From the first moment at which the agent can be connected to.
    await isFenced(t, (heads) => worker.ask(sockets.agent, heads, 20))
    t.comment(`after a restart of the agent: ${Date.now() - began} ms`)
    await untilReady()
    t.match(await fence(), { state: 'closed', scopes: 2, supervisors: 1 })
  })

  t.test('a proxy that reports nothing works as before, and doctor reports it', async (t) => {
    const { sockets, fence, startProxy } = await host(t)
    await startProxy({ set: ['served_scopes.sockets=[]'] })
    const worker = startWorkerAccount(t)
    const began = Date.now()
    t.strictSame(await worker.ask(sockets.agent, [head(1), head(900)]), ['200', '200'])
    t.ok(Date.now() - began < 3_000)
    t.match(await fence(), { state: 'open', scopes: 0, supervisors: 0 })
    t.match(await fenceOf(sockets.admin), [{ code: 'fence_open' }])
  })

  t.test('the supervisor of the unit reports by its group', async (t) => {
    const group = 61_001
    const stage = await host(t, { group: String(group), fence: 'always' })
    // As an agent of its own user leaves it, which root may not open without CAP_DAC_OVERRIDE.
    t.equal(statSync(stage.scopesSocket).gid, group)
    chownSync(stage.scopesSocket, 61_002, group)
    const set = ['-all', ...capabilitiesOfUnit().map((name) => `+${name}`)].join(',')
    const by = ['setpriv', '--groups', String(group), '--bounding-set', set, 'env', '-i']
    const proxy = await stage.startProxy({ by })
    t.match(await stage.fence(), { state: 'closed', scopes: 2, supervisors: 1 })
    for (const { pid } of (await proxy.status()).workers) {
      t.match(
        readFileSync(`/proc/${pid}/status`, 'latin1'),
        /^Groups:[ \t]*$/m,
        'workers are not in it',
      )
    }
    const worker = startWorkerAccount(t)
    t.strictSame(await worker.ask(stage.scopesSocket, ['x\n']), ['PermissionError'])
    await isFenced(t, (heads) => worker.ask(stage.sockets.agent, heads))
  })
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
