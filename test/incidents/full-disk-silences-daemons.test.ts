// With standard output on a full file system the agent stopped answering for ever, and neither daemon ended on SIGTERM. Logging never
// blocks and never throws: lines are dropped, counted and reported once there is room.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { requestAdmin } from '../../lib/http/admin-client.ts'
import { openFolder } from '../support/running-proxy.ts'
import { until } from '../support/until.ts'

const built = (path: string): string =>
  fileURLToPath(new URL(`../../dist/${path}`, import.meta.url))

interface Daemon {
  readonly adminSocket: string
  readonly program: string
  readonly settings: readonly string[]
}

function agentIn(folder: string): Daemon {
  const adminSocket = join(folder, 'agent-admin.sock')
  writeFileSync(join(folder, 'ports.yaml'), 'networks: []\n')
  return {
    adminSocket,
    program: 'agent-side/main.js',
    settings: [
      'compute.allow_empty_secret=true',
      `listeners=[{"socket":"${join(folder, 'agent.sock')}"}]`,
      `ports.static.file=${join(folder, 'ports.yaml')}`,
      'leases.enabled=false',
      `admin.socket=${adminSocket}`,
      'log.level=debug',
    ],
  }
}

function proxyIn(folder: string): Daemon {
  const adminSocket = join(folder, 'proxy-admin.sock')
  return {
    adminSocket,
    program: 'proxy/main.js',
    settings: [
      `netns_dir=${folder}`,
      `agents=${JSON.stringify([join(folder, 'agent.sock')])}`,
      `admin.socket=${adminSocket}`,
      'log.level=debug',
      'workers.count=1',
    ],
  }
}

/** Runs a daemon with standard output on `device`, has it log a lot, and ends it. @returns its exit code */
async function runInto(
  t: Test,
  { program, settings, adminSocket }: Daemon,
): Promise<number | null> {
  const full = openSync('/dev/full', 'w')
  const child = spawn(
    process.execPath,
    [built(program), 'serve', ...settings.flatMap((text) => ['--set', text])],
    { stdio: ['ignore', full, 'inherit'] },
  )
  closeSync(full)
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await until(async () => {
    const { status } = await requestAdmin(adminSocket, '/health').catch(() => ({ status: 0 }))
    return status === 200
  })
  for (let index = 0; index < 20; index += 1) child.kill('SIGHUP')
  const { status } = await requestAdmin(adminSocket, '/metrics')
  t.equal(status, 200, 'answers after it had something to say')
  child.kill('SIGTERM')
  const [code] = (await ended) as [number | null]
  return code
}

t.test('the agent serves and ends while its log cannot be written', async (t) => {
  t.equal(await runInto(t, agentIn(openFolder(t))), 0)
})

t.test('the proxy serves and ends while its log cannot be written', async (t) => {
  t.equal(await runInto(t, proxyIn(openFolder(t))), 0)
})

t.test('a command whose reader has seen enough ends quietly', async (t) => {
  const folder = openFolder(t)
  for (const program of ['agent-side/main.js', 'proxy/main.js', 'deploy/overlapd/overlapd.js']) {
    const errors = join(folder, 'errors')
    const script = `"${process.execPath}" "${built(program)}" --help 2>"${errors}" | head -n 1 >/dev/null`
    spawnSync('sh', ['-c', script])
    t.equal(readFileSync(errors, 'utf8'), '', program)
  }
})
