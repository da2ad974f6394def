// `systemctl restart` of the agent returned 0 with a wrong file, five starts followed, and the unit stayed failed after the file was right
// again. A start fails as `check` does, counts as done when the agent serves, and is never given up.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { agentProgram } from '../../agent-side/cli.ts'
import { runProgram } from '../../lib/cli/command.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { openFolder } from '../support/running-proxy.ts'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))

t.test('the agent reports to the service manager once it serves', async (t) => {
  const folder = openFolder(t)
  writeFileSync(join(folder, 'ports.yaml'), 'networks: []\n')
  const settings = [
    'compute.allow_empty_secret=true',
    `listeners=[{"socket":"${join(folder, 'agent.sock')}"}]`,
    `ports.static.file=${join(folder, 'ports.yaml')}`,
    'leases.enabled=false',
    `admin.socket=${join(folder, 'admin.sock')}`,
  ]
  const manager = spawn(
    'python3',
    [
      path('test/support/service_manager.py'),
      join(folder, 'notify.sock'),
      process.execPath,
      path('dist/agent-side/main.js'),
      'serve',
      ...settings.flatMap((text) => ['--set', text]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const ended = once(manager, 'exit')
  let log = ''
  let events = ''
  const ready = new Promise<void>((resolve) => {
    manager.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()))
    manager.stderr.on('data', (chunk: Buffer) => {
      events += chunk.toString()
      if (events.includes('READY=1')) resolve()
    })
  })
  await ready
  t.match(log, 'Agent started')
  manager.kill('SIGTERM')
  t.strictSame(await ended, [0, null])
})

t.test('the units check the configuration first and never stop trying', async (t) => {
  for (const daemon of ['agent', 'proxy']) {
    const unit = readFileSync(path(`deploy/systemd/overlapd-${daemon}.service`), 'utf8')
    const [unitSection = '', serviceSection = ''] = unit.split('[Service]')
    t.match(unitSection, /^StartLimitIntervalSec=0$/m)
    t.match(serviceSection, /^Type=notify$/m)
    // Nobody answers between two agents, so the next one checks as it starts.
    const before = /^ExecStartPre=(.*)$/m.exec(serviceSection)?.[1] ?? ''
    t.match(before, daemon === 'agent' ? /^$/ : /^\/usr\/bin\/overlapd-proxy check --quiet/)
  }
})

t.test('check --quiet prints problems only', async (t) => {
  const terminal = new FakeTerminal()
  const right = ['--set', 'compute.allow_empty_secret=true', '--set', 'ports.static.file=/nowhere']
  t.equal(await runProgram(agentProgram, ['check', '--quiet', ...right], terminal), 0)
  t.strictSame(terminal.written(), { out: '', error: '' })
  t.equal(await runProgram(agentProgram, ['check', '--quiet', '--set', 'x=1'], terminal), 2)
  t.match(terminal.written().error, 'x')
})
