import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { Hono } from 'hono'
import { runProgram } from '../../../lib/cli/command.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import { reasonCodes } from '../../../lib/runtime/reason-codes.ts'
import { madeHealth, type MadePart } from '../../support/made-health.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

function instanceId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
}

function reasonsOf({ out }: { readonly out: string }): object {
  return (JSON.parse(out) as { reasons: object }).reasons
}

async function run(...argv: string[]) {
  const terminal = new FakeTerminal({ PATH: '/nowhere' })
  const exitCode = await runProgram(operatorProgram(), argv, terminal)
  return { exitCode, ...terminal.written() }
}

interface Daemon {
  readonly parts?: readonly MadePart[]
  readonly status?: unknown
  readonly explanations?: Readonly<Record<string, unknown>>
  /** Of an audit of all scopes that it is sent. */
  readonly answers?: readonly unknown[]
}

/** A daemon's admin socket as the contract has it. */
async function startDaemon(t: Test, daemon: Daemon): Promise<string> {
  const app: Hono = createAdminApp({
    health: () => madeHealth(daemon.parts),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    status: () => daemon.status ?? {},
    history: () => [],
  })
  app.get('/explain', (context) => {
    const { search } = new URL(context.req.url)
    const found = daemon.explanations?.[search]
    return found === undefined
      ? context.json({ message: `nothing about ${search}` }, 404)
      : context.json(found as object)
  })
  app.post('/audit', async (context) => {
    const { scopes = [] } = await context.req.json<{ scopes?: unknown[] }>()
    const checked = { scopes: scopes.length }
    return context.json({ checked, notes: [], findings: [], answers: daemon.answers })
  })
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket, mode: 0o600 }] })
  t.teardown(() => serving.close())
  return socket
}

const waiting = { name: 'directory', ready: false, detail: 'waits for \u001b[31mNeutron' }

const unproven = '; no guest has been served yet'

t.test('overlapd health ends with 0, 1 or 2 and names what is not ready', async (t) => {
  const ready = await startDaemon(t, {})
  const notReady = await startDaemon(t, { parts: [waiting] })
  t.strictSame(await run('health', '--proxy', ready, '--agent', ready), {
    exitCode: 0,
    out: `proxy: ready${unproven}\nagent: ready${unproven}\n`,
    error: '',
  })
  t.strictSame(await run('health', '--proxy', ready, '--agent', notReady), {
    exitCode: 1,
    out: [
      `proxy: ready${unproven}`,
      'agent: not ready',
      '  directory: waits for \\u001b[31mNeutron (directory_not_ready, since 03:04:05 UTC)',
      '    Effect: Every guest gets 503 and waits.',
      '    → Start or reach the source of ports that is named; the agent connects by itself.',
      '',
    ].join('\n'),
    error: '',
  })
  const gone = `${scratchFolder(t)}/none.sock`
  t.match(await run('health', '--proxy', gone, '--agent', notReady), {
    exitCode: 2,
    out: /^proxy: Cannot get an answer from ".*none\.sock": the socket does not exist/,
  })
  const json = await run('health', '--json', '--proxy', ready, '--agent', gone)
  t.match((JSON.parse(json.out) as { daemons: unknown }).daemons, [
    { daemon: 'proxy', reachable: true, ready: true },
    { daemon: 'agent', reachable: false, why: /does not exist/ },
  ])
})

t.test('a daemon that this host needs no instance of is not missed', async (t) => {
  const central = { status: { agents: [{ agent: 'https://agent-1:9699' }] } }
  const localToo = { status: { agents: [{ agent: '/run/a.sock' }, { agent: 'https://b:1' }] } }
  const serving = (kind: string): Daemon => ({ status: { listeners: [{ socket: '*:1', kind }] } })
  const gone = `${scratchFolder(t)}/none.sock`
  const rows: readonly (readonly [Daemon, Daemon | undefined, number, RegExp])[] = [
    [central, undefined, 0, /\nagent: not on this host; the proxy uses https:\/\/agent-1:9699\n$/],
    [localToo, undefined, 2, /\nagent: Cannot get an answer/],
    [
      serving('overlapd over TLS'),
      central,
      0,
      /\nproxy: not on this host; the agent serves others at/,
    ],
    [serving('overlapd'), central, 2, /^proxy: Cannot get an answer/],
  ]
  for (const [daemon, other, exitCode, text] of rows) {
    const socket = await startDaemon(t, daemon)
    const sockets = other
      ? ['--proxy', gone, '--agent', socket]
      : ['--proxy', socket, '--agent', gone]
    const health = await run('health', ...sockets)
    t.equal(health.exitCode, exitCode, health.out)
    t.match(health.out, text)
    const { exitCode: statusCode, out } = await run('status', ...sockets)
    t.equal(statusCode, exitCode)
    t.match(out, /not on this host|Cannot get an answer/)
  }
  const proxy = await startDaemon(t, localToo)
  t.match(await run('health', '--only', 'proxy', '--proxy', proxy, '--agent', gone), {
    exitCode: 0,
    out: /^proxy: ready[^\n]*\n$/,
  })
  t.match(await run('health', '--only', 'worker'), {
    exitCode: 2,
    error: /--only must be proxy or/,
  })
})

t.test('overlapd ui names whoever holds its port', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { exitCode, out, error } = await run('ui', '--port', String(port))
  t.equal(exitCode, 1)
  t.equal(out, '')
  const [line, ...help] = error.trimEnd().split('\n')
  t.ok(
    line?.startsWith(`overlapd: TCP port ${port} of 127.0.0.1 is held by process ${process.pid} `),
    error,
  )
  t.match(line, /: give --port another number, or none for any that is free\.$/)
  t.strictSame(help, ['Try "overlapd ui --help".'])
})

t.test('overlapd status prints what both daemons report, in full as JSON', async (t) => {
  const proxy = await startDaemon(t, {
    status: { workers: 2, listeners: Array.from({ length: 25 }, (_, n) => n) },
  })
  const agent = await startDaemon(t, {
    parts: [waiting],
    status: { directory: { kind: 'static' } },
  })
  const { exitCode, out } = await run('status', '--proxy', proxy, '--agent', agent)
  t.equal(exitCode, 1)
  t.match(out, /^proxy: ready.*\n {2}workers +2\n/)
  t.match(out, /listeners +0, 1, 2, .* 19, … and 5 more, see --json\n\nagent: not ready\n/)
  t.match(out, /directory\.kind +static\n$/)
  const json = JSON.parse(
    (await run('status', '--json', '--proxy', proxy, '--agent', agent)).out,
  ) as {
    proxy: { status: { listeners: unknown[] } }
  }
  t.equal(json.proxy.status.listeners.length, 25)
})

t.test('overlapd explain prints each step and the verdict, and what to do', async (t) => {
  const steps = [{ step: 'ports', detail: { byAddress: 1, name: 'a\u001b[2J' }, ms: 1.234 }]
  const agent = await startDaemon(t, {
    explanations: {
      '?router=r-1&ip=10.0.0.10': {
        steps,
        verdict: {
          kind: 'found',
          identity: { instanceId: 'i-1' },
          basis: 'address',
          evidence: { why: 'one port' },
        },
      },
      '?network=n-1&ip=10.0.0.11&mac=fa%3A16%3A3e%3A00%3A00%3A01': {
        steps,
        verdict: { kind: 'none', reason: 'no_port' },
      },
      '?request=q-1': { steps: [], verdict: { kind: 'error', reason: 'directory_unavailable' } },
    },
  })
  const found = await run('explain', '--agent', agent, '--router', 'r-1', '--ip', '10.0.0.10')
  t.strictSame(found, {
    exitCode: 0,
    out: [
      '  1      1.23 ms  ports  byAddress=1 name=a\\u001b[2J',
      '',
      'verdict: found',
      '  identity: instanceId=i-1',
      '  basis: address',
      '  why: one port',
      '',
    ].join('\n'),
    error: '',
  })
  const through = ['--router', 'r-1', '--ip', '10.0.0.10', '--ingress-port', 'qr-4d2a7c11-9e']
  t.match(await run('explain', '--agent', agent, ...through), {
    error: /nothing about \?router=r-1&ingress_port=qr-4d2a7c11-9e&ip=10\.0\.0\.10\n/,
  })
  const mac = ['--mac', 'fa:16:3e:00:00:01']
  const refused = await run(
    'explain',
    '--agent',
    agent,
    '--network',
    'n-1',
    '--ip',
    '10.0.0.11',
    ...mac,
  )
  t.equal(refused.exitCode, 1)
  t.match(
    refused.out,
    '  the guest gets: 404 No instance has this address on this network\n  what to do: No port',
  )
  t.match(await run('explain', '--agent', agent, '--request', 'q-1'), { exitCode: 2 })
  const proxy = await startDaemon(t, {
    explanations: { '?request=q-3': { steps: [], verdict: { kind: 'found', basis: 'lease' } } },
  })
  const both = ['--agent', agent, '--proxy', proxy]
  t.match(await run('explain', ...both, '--request', 'q-2'), {
    exitCode: 2,
    out: '',
    error: 'The agent answered: nothing about ?request=q-2\nTry "overlapd doctor".\n',
  })
  t.match(await run('explain', ...both, '--request', 'q-3'), {
    exitCode: 0,
    out: /verdict: found\n {2}basis: lease\n/,
  })
  const json = await run('explain', '--agent', agent, '--request', 'q-1', '--json')
  t.match(JSON.parse(json.out), { verdict: { reason: 'directory_unavailable' } })
  const gone = await run('explain', '--agent', `${scratchFolder(t)}/none`, '--request', 'q')
  t.match(gone, { exitCode: 2, error: /^Cannot get an answer from / })
})

t.test('overlapd explain finds an address in all scopes, and an instance', async (t) => {
  const found = { steps: [], verdict: { kind: 'found', basis: 'address' } }
  const none = { steps: [], verdict: { kind: 'none', reason: 'no_port' } }
  const scopes = ['router/r-1', 'network/n-1']
  const proxy = await startDaemon(t, {
    status: { namespaces: scopes.map((scope) => ({ netns: scope, scope })) },
  })
  const answers = [
    { scope: 'router/r-1', address: '10.0.0.10', macAddress: 'm-1', instanceId: instanceId(1) },
    { scope: 'network/n-1', address: '10.0.0.10', macAddress: 'm-2', instanceId: instanceId(2) },
    { scope: 'network/n-1', address: '10.0.0.11', macAddress: 'm-2', instanceId: instanceId(2) },
  ]
  const agent = await startDaemon(t, {
    answers,
    explanations: {
      '?router=r-1&ip=10.0.0.10&mac=m-1': found,
      '?network=n-1&ip=10.0.0.10&mac=m-2': none,
      '?network=n-1&ip=10.0.0.11&mac=m-2': found,
    },
  })
  const both = ['--agent', agent, '--proxy', proxy]
  const byAddress = await run('explain', ...both, '--ip', '10.0.0.10')
  t.equal(byAddress.exitCode, 1)
  t.match(byAddress.out, /^router\/r-1 10\.0\.0\.10 m-1\n[^]*verdict: found\n/)
  t.match(byAddress.out, /\nnetwork\/n-1 10\.0\.0\.10 m-2\n[^]*verdict: none\n/)
  t.match(byAddress.out, /\n2 found for 10\.0\.0\.10 in 2 scopes\.\n$/)
  const byInstance = await run('explain', ...both, '--instance', instanceId(2), '--json')
  t.match(JSON.parse(byInstance.out), {
    scopes: 2,
    found: 2,
    guests: [
      { scope: 'network/n-1', address: '10.0.0.10', explanation: none },
      { address: '10.0.0.11', explanation: found },
    ],
  })
  t.strictSame(await run('explain', ...both, '--ip', '10.0.0.99'), {
    exitCode: 1,
    out: '0 found for 10.0.0.99 in 2 scopes.\n',
    error: '',
  })
  const gone = `${scratchFolder(t)}/none`
  t.match(await run('explain', '--agent', gone, '--proxy', gone, '--ip', '10.0.0.10'), {
    exitCode: 2,
    out: '',
    error:
      /^Cannot get an answer from ".*none": the socket does not exist; is the daemon running\?\nTry "overlapd doctor"\.\n$/,
  })
})

t.test('overlapd explain prints its usage', async (t) => {
  const wrong: [string[], RegExp][] = [
    [[], /give exactly one of --router, --network, --instance, --request, or --ip/],
    [['--router', 'a', '--network', 'b', '--ip', '10.0.0.1'], /exactly one/],
    [['--router', 'a'], /--router needs --ip/],
    [['--router', 'a', '--ip', '10.1'], /--ip "10.1" is no IP address/],
    [['--router', 'a', '--ip', '10.0.0.1', '--mac', 'x'], /--mac "x" is no MAC address/],
    [['--request', 'a', '--ip', '10.0.0.1'], /--request is enough/],
    [['--instance', instanceId(1), '--mac', 'fa:16:3e:00:00:01'], /--instance is enough/],
    [['--instance', 'a b'], /--instance "a b" is no id of an instance/],
    [['--ip', '10.0.0.1', '--ingress-port', 'other'], /--ingress-port goes with --router/],
  ]
  for (const [argv, message] of wrong) {
    const { exitCode, error } = await run('explain', ...argv)
    t.equal(exitCode, 2)
    t.match(error, message)
  }
})

t.test('overlapd reasons prints the error reference', async (t) => {
  const all = await run('reasons')
  const markdown = await run('reasons', '--markdown')
  for (const code of Object.keys(reasonCodes)) {
    t.match(all.out, new RegExp(`^${code} `, 'm'))
    t.match(markdown.out, `| \`${code}\` |`)
  }
  t.match((await run('reasons', 'no_port')).out, /^no_port\n {2}status +404\n[^]*what to do/)
  t.strictSame(Object.keys(reasonsOf(await run('reasons', '--json'))), Object.keys(reasonCodes))
  t.strictSame(Object.keys(reasonsOf(await run('reasons', 'no_port', '--json'))), ['no_port'])
  t.match(await run('reasons', 'no_prt'), {
    exitCode: 2,
    error: /there is no reason code "no_prt"; did you mean no_port\?/,
  })
})

t.test('overlapd doctor finds what is wrong and names what to do', async (t) => {
  const ready = await startDaemon(t, {})
  const folder = scratchFolder(t)
  writeFileSync(`${folder}/good.yaml`, 'a: 1\n')
  writeFileSync(`${folder}/bad.yaml`, 'a: [\n')
  const netns = ['--netns', folder]
  const well = await run(
    'doctor',
    '--proxy',
    ready,
    '--agent',
    ready,
    '--config',
    `${folder}/good.yaml`,
    ...netns,
  )
  t.equal(well.exitCode, 0)
  t.match(
    well.out,
    /(?:^|\n)ok {4}daemons \(2\)\n {6}proxy answers, ready; no guest .*\n {6}agent answers/,
  )
  t.match(well.out, /ok {4}configuration: .*good\.yaml can be read\n/)
  t.match(well.out, /ok {4}clock: the clock shows 20/)
  const notReady = await startDaemon(t, { parts: [waiting] })
  const none = `${folder}/none`
  const broken = ['--config', `${folder}/bad.yaml`, '--netns', none]
  const bad = await run('doctor', '--proxy', notReady, '--agent', none, ...broken)
  t.equal(bad.exitCode, 1)
  t.match(
    bad.out,
    /fail {2}directory_not_ready: directory: waits for \\u001b\[31mNeutron\n {6}Effect: Every guest/,
  )
  t.match(bad.out, /^fail {2}agent_down: agent: Cannot get an answer from ".*none"/)
  t.match(bad.out, /\nfail {2}config_invalid: .*bad\.yaml:/)
  t.match(bad.out, /\nwarn {2}namespaces_unseen: .*none: ENOENT/)
  const json = await run('doctor', '--json', '--proxy', ready, '--agent', ready)
  const { api, findings } = JSON.parse(json.out) as { api: string; findings: unknown[] }
  t.equal(api, '1')
  t.ok(findings.length >= 6)
})

t.test('every command of overlapd has a help with examples and exit codes', async (t) => {
  for (const { name } of operatorProgram().commands) {
    const { exitCode, out } = await run(name, '--help')
    t.equal(exitCode, 0)
    t.match(out, new RegExp(`^Usage: overlapd ${name} [^]*\nExamples:\n[^]*\nExit codes:\n`))
  }
})
