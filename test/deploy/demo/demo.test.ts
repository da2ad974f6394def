import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { skipUnlessPrivileged } from '../../support/netns.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const program = fileURLToPath(new URL('../../../dist/deploy/overlapd/overlapd.js', import.meta.url))

interface Demo {
  readonly exitCode: number | null
  readonly pid: number
  readonly out: string
  readonly error: string
}

function runDemo(args: readonly string[], path = process.env['PATH']): Promise<Demo> {
  const child = spawn(process.execPath, [program, 'demo', ...args], { env: { PATH: path } })
  let out = ''
  let error = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (error += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, pid: child.pid ?? 0, out, error }))
  })
}

interface State {
  readonly kind: string
  readonly guests: readonly Record<'instanceId' | 'ip' | 'verdict' | 'url', string>[]
}

t.test(
  'demo --once gives guests with one address their own metadata and leaves nothing',
  async (t) => {
    if (!skipUnlessPrivileged(t)) return
    const state = join(scratchFolder(t), 'state.json')

    const demo = await runDemo(['--once', '--networks', '4', '--guests', '6', '--state', state])

    t.equal(demo.exitCode, 0, demo.error)
    t.match(
      demo.out,
      /6 guests with 2 addresses, 6 different instances: each got its own metadata, over IPv4 and over IPv6/,
    )
    const { kind, guests } = JSON.parse(readFileSync(state, 'utf8')) as State
    t.equal(kind, 'namespaces')
    t.equal(new Set(guests.map(({ instanceId }) => instanceId)).size, 6)
    t.ok(guests.every(({ verdict }) => verdict === 'own metadata'))
    const left = readdirSync('/run/netns').filter((name) => name.startsWith(`ovd${demo.pid}-`))
    t.strictSame(left, [])
  },
)

t.test('demo --once falls back to loopback listeners where namespaces cannot be had', async (t) => {
  const bin = join(scratchFolder(t), 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))

  const demo = await runDemo(['--once'], bin)

  t.equal(demo.exitCode, 0, demo.error)
  t.match(demo.out, /No network namespaces here: the program "ip" is missing/)
  t.match(demo.out, /2 guests with the same address, 2 different instances/)
})

t.test('demo --json prints what each guest got', async (t) => {
  const bin = join(scratchFolder(t), 'bin')
  mkdirSync(bin)

  const demo = await runDemo(['--once', '--json'], bin)

  const visits = (JSON.parse(demo.out) as { visits: { verdict: string; status: number }[] }).visits
  t.equal(visits.length, 2)
  t.ok(visits.every(({ verdict, status }) => verdict === 'own metadata' && status === 200))
})
