import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import { proxyConfig } from '../../../proxy/config/config.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { runProgram } from '../../../lib/cli/command.ts'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import type { Table } from '../../../lib/config/entry.ts'
import { environmentName, tableNames } from '../../../lib/config/table-names.ts'
import { instanceId, networkId } from '../../conformance/topology.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { madeHealth } from '../../support/made-health.ts'
import { guestFields, startAgentForOneGuest } from '../../support/one-guest.ts'
import { RecordingUpstream } from '../../support/recording-upstream.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

/** Every option of the agent that can hold a secret, as a variable. */
const secretVariables = tableNames(agentConfig.table as unknown as Table)
  .filter(({ entry, keys }) => entry.secret && !String(keys.at(-1)).endsWith('_file'))
  .map(({ keys }) => environmentName(agentConfig.environmentPrefix, keys))

interface Report {
  readonly files: readonly string[]
  readonly text: string
  readonly archive: string
}

/** Writes a report and reads all of it. */
async function report(
  t: Test,
  environment: Readonly<Record<string, string>>,
  ...argv: string[]
): Promise<Report> {
  const folder = scratchFolder(t)
  const archive = join(folder, 'report.tar.gz')
  const terminal = new FakeTerminal(environment)
  const command = ['bugreport', '--output', archive, ...argv]
  t.equal(await runProgram(operatorProgram(), command, terminal), 0, terminal.written().error)
  t.equal(terminal.written().out, `${archive}\n`)
  execFileSync('tar', ['--extract', '--gzip', '--file', archive, '--directory', folder])
  const [root = ''] = readdirSync(folder).filter((name) => name !== 'report.tar.gz')
  const files = readdirSync(join(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, root, name)).isFile())
    .toSorted()
  const text = files.map((name) => readFileSync(join(folder, root, name), 'utf8')).join('\n')
  return { files, text, archive }
}

t.test(
  'a report holds no secret, in whatever option it is and however it is written',
  async (t) => {
    t.ok(secretVariables.length >= 3, secretVariables.join(' '))
    const planted = secretVariables.map((name, index) => [name, `pl"nted/${index}+s3cret`] as const)
    const folder = scratchFolder(t)
    const gone = join(folder, 'none')
    const environment = { ...Object.fromEntries(planted), PATH: process.env['PATH'] ?? '' }
    const { text } = await report(t, environment, '--proxy', gone, '--agent', gone)
    for (const [name, secret] of planted) {
      for (const form of [
        secret,
        JSON.stringify(secret).slice(1, -1),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      ]) {
        t.notOk(text.includes(form), `${name}: ${form}`)
      }
    }
  },
)

t.test('a report holds no secret that stands in the settings in place of its file', async (t) => {
  const folder = scratchFolder(t)
  const gone = join(folder, 'none')
  const base = { PATH: process.env['PATH'] ?? '' }
  for (const { prefix, table } of [
    { prefix: agentConfig.environmentPrefix, table: agentConfig.table as unknown as Table },
    { prefix: proxyConfig.environmentPrefix, table: proxyConfig.table as unknown as Table },
  ]) {
    const planted: string[] = []
    const document: Record<string, unknown> = {}
    for (const { keys } of tableNames(table).filter(({ entry }) => entry.secret)) {
      const secret = `plnt-${prefix}-${planted.length}-s3cret`
      planted.push(secret)
      let section = document
      for (const key of keys.slice(0, -1)) {
        section = (section[String(key)] ??= {}) as Record<string, unknown>
      }
      section[String(keys.at(-1))] = secret
    }
    const file = join(folder, `${prefix}.json`)
    writeFileSync(file, JSON.stringify(document))
    const environment = { ...base, [`${prefix}_CONFIG`]: file }
    const { text } = await report(t, environment, '--proxy', gone, '--agent', gone)
    if (planted.length > 0) t.match(text, file, 'errors name the file')
    for (const secret of planted) t.notOk(text.includes(secret), secret)
  }
})

t.test(
  'a report of a running agent reports its state, and leaves tenants out on request',
  async (t) => {
    const upstream = await RecordingUpstream.start()
    t.teardown(() => upstream.close())
    const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
    await agent.ask('/latest/meta-data/of-a-tenant', [
      ['X-Neutron-Network-ID', networkId(1)],
      ['X-Forwarded-For', '10.0.0.99'],
    ])
    await agent.ask('/latest', guestFields)
    const environment = { PATH: process.env['PATH'] ?? '' }
    const sockets = ['--agent', agent.admin, '--proxy', join(scratchFolder(t), 'none')]
    const open = await report(t, environment, ...sockets)
    for (const name of [
      'agent/configuration.json',
      'agent/metrics.txt',
      'agent/process.txt',
      'agent/ready.json',
      'agent/refusals.json',
      'agent/status.json',
      'audit.json',
      'doctor.json',
      'health.json',
      'host.json',
      'proxy/status.json',
    ]) {
      t.ok(open.files.includes(name), name)
    }
    t.equal(statSync(open.archive).mode & 0o777, 0o600)
    t.match(open.text, '10.0.0.99')
    t.match(open.text, 'of-a-tenant')
    t.match(open.text, /overlapd_agent_requests_total/)

    const redacted = await report(t, environment, ...sockets, '--redact')
    for (const name of ['10.0.0.99', 'of-a-tenant', networkId(1), instanceId(1)]) {
      t.notOk(redacted.text.includes(name), name)
    }
    t.match(redacted.text, /"sourceIp": ?"ip-\d+"/)
  },
)

t.test('a report never replaces a file', async (t) => {
  const file = join(scratchFolder(t), 'there')
  writeFileSync(file, 'mine')
  const terminal = new FakeTerminal({ PATH: process.env['PATH'] ?? '' })
  const gone = join(scratchFolder(t), 'none')
  const argv = ['bugreport', '--output', file, '--proxy', gone, '--agent', gone]
  t.equal(await runProgram(operatorProgram(), argv, terminal), 1)
  t.equal(
    terminal.written().error,
    `overlapd: ${file} exists already: name another file.\nTry "overlapd bugreport --help".\n`,
  )
  t.equal(readFileSync(file, 'utf8'), 'mine')
})

t.test(
  'what a daemon reports it was started with is read with its own rights',
  { skip: process.getuid?.() === 0 ? false : 'needs root, to start a daemon of another account' },
  async (t) => {
    const folder = scratchFolder(t)
    const ofRoot = join(folder, 'of-root.yaml')
    writeFileSync(ofRoot, 'line_of_root: 1\n', { mode: 0o600 })
    chmodSync(folder, 0o755)
    const words = ['-e', 'setTimeout(() => undefined, 60_000)', '--', '/x/main.js', 'serve']
    const daemon = spawn(process.execPath, [...words, '-c', ofRoot], {
      uid: 65_534,
      gid: 65_534,
      env: {},
    })
    t.teardown(() => daemon.kill())
    await once(daemon, 'spawn')
    const app = createAdminApp({
      health: () => madeHealth(),
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      status: () => ({ pid: daemon.pid }),
      history: () => [],
    })
    const socket = join(folder, 'admin.sock')
    const serving = await serveApp({ app, listen: [{ socket }] })
    t.teardown(() => serving.close())
    const { text } = await report(t, {}, '--agent', socket, '--proxy', join(folder, 'none'))
    t.match(text, `${ofRoot}: Cannot read the file: EACCES`)
    t.notMatch(text, 'line_of_root')
    t.equal(process.geteuid?.(), 0)
  },
)
