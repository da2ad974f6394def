// `timeout` and CI end a whole process group, so two SIGTERMs reached the demo: it ended at once and left its namespaces. And when its
// proxy died it went on with "Serving until Ctrl-C" and ended with 0. One stop is one stop, and a dead daemon is a failure that is reported.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

const program = fileURLToPath(new URL('../../dist/deploy/overlapd/overlapd.js', import.meta.url))

interface RunningDemo {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  readonly error: () => string
  readonly pids: Readonly<Record<string, number>>
}

/** A demo that serves, at the head of a process group of its own. */
async function startDemo(t: Test): Promise<RunningDemo> {
  const state = join(scratchFolder(t), 'state.json')
  const child = spawn(process.execPath, [program, 'demo', '--networks', '2', '--state', state], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  let error = ''
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()))
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      if (/Ctrl-C/.test(out)) resolve()
    })
    void ended.then(() => reject(new Error(`the demo ended early: ${error}`)))
  })
  const { pids } = JSON.parse(readFileSync(state, 'utf8')) as Pick<RunningDemo, 'pids'>
  return { child, ended, error: () => error, pids }
}

function leftBy(child: ChildProcess): readonly string[] {
  return readdirSync('/run/netns').filter((name) => name.startsWith(`ovd${child.pid}-`))
}

if (skipUnlessPrivileged(t)) {
  t.test('two SIGTERMs of one stop let the demo clean up', async (t) => {
    const demo = await startDemo(t)
    t.not(leftBy(demo.child).length, 0)
    process.kill(-(demo.child.pid ?? 0), 'SIGTERM')
    process.kill(demo.child.pid ?? 0, 'SIGTERM')
    t.equal(await demo.ended, 0)
    t.strictSame(leftBy(demo.child), [])
  })

  t.test('the demo reports the death of its proxy and ends with 1', async (t) => {
    const demo = await startDemo(t)
    process.kill(demo.pids['proxy'] ?? 0, 'SIGKILL')
    t.equal(await demo.ended, 1)
    t.match(demo.error(), /overlapd-proxy ended \(SIGKILL\)/)
    t.strictSame(leftBy(demo.child), [])
  })
}
