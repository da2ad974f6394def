import { spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { commandLineOf } from '../../lib/host/process-facts.ts'
import {
  fetchFrom,
  ipBatch,
  makeNamespaces,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { openFolder, startProxy } from '../support/running-proxy.ts'

const script = fileURLToPath(new URL('scripts/metadata_driver.py', import.meta.url))
const standIn = fileURLToPath(new URL('../../dist/proxy/haproxy-shim/main.js', import.meta.url))
/** Debian's own Python, whose packages Neutron is one of. */
const python = '/usr/bin/python3'

interface DriverAnswer {
  readonly error?: string
  readonly pid: number | null
  readonly active: boolean
  readonly pid_file: string
}

interface Driver {
  ask(command: 'spawn' | 'check' | 'destroy'): Promise<DriverAnswer>
}

/** Neutron's driver, with a folder that holds our `haproxy` first on its path. */
function startDriver(t: Test, path: string, words: readonly string[]): Driver {
  const child = spawn(
    'env',
    [`PATH=${path}:${process.env['PATH'] ?? ''}`, python, script, ...words],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => child.stdin.end('quit\n'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(command) {
      child.stdin.write(`${command}\n`)
      const { value, done } = await lines.next()
      if (done === true) throw new Error('The driver ended')
      return JSON.parse(value) as DriverAnswer
    },
  }
}

function whyNoNeutron(): string | undefined {
  const asked =
    existsSync(python) && spawnSync(python, ['-c', 'import neutron.agent.metadata.driver'])
  return asked !== false && asked.status === 0
    ? undefined
    : "Debian's python3-neutron is not installed"
}

for (const flavour of ['ml2', 'ovn'] as const) {
  const skip = whyNoNeutron() ?? false
  t.test(
    `Neutron's ${flavour} driver spawns, respawns and destroys us as its haproxy`,
    { skip },
    async (t) => {
      if (!skipUnlessPrivileged(t)) return
      const folder = openFolder(t)
      const control = join(folder, 'control.sock')
      const proxy = await startProxy(t, `control.socket=${control}`, 'discover=false')
      const [made] = makeNamespaces(t, [
        {
          netns: uniqueName(),
          interface: 'tap0',
          addresses: ['10.0.0.2/24', '169.254.169.254/32', 'fe80::a9fe:a9fe/64'],
          guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'] },
        },
      ])
      ipBatch(['route add 169.254.169.254 dev eth0'], made!.guest)
      const bin = join(folder, 'bin')
      mkdirSync(bin)
      const call = `exec "${process.execPath}" "${standIn}" --control "${control}" "$@"`
      writeFileSync(join(bin, 'haproxy'), `#!/bin/sh\n${call}\n`, { mode: 0o755 })
      const id = randomUUID()
      const state = join(folder, 'state')
      const words = [state, join(folder, 'agent.sock'), flavour, made!.netns, id]
      const driver = startDriver(t, bin, flavour === 'ml2' ? [...words, 'tap0'] : words)
      const header = flavour === 'ml2' ? 'x-neutron-network-id' : 'x-ovn-network-id'
      const isServed = async (): Promise<boolean> =>
        (await fetchFrom(made!.guest!, '/latest')).stdout.includes(`"${header}":"${id}"`)

      const spawned = await driver.ask('spawn')
      t.match(spawned, { active: true, pid: Number })
      t.equal(spawned.error, undefined)
      t.ok(await isServed(), 'served')
      if (flavour === 'ml2') {
        const answer = await fetchFrom(made!.guest!, '/', 'fe80::a9fe:a9fe%eth0')
        t.match(answer.stdout, '"x-forwarded-for":"fe80::10"', 'by IPv6 as well')
      }
      t.same(await driver.ask('spawn'), spawned, 'a second spawn finds it running')

      process.kill(spawned.pid ?? 0, 'SIGKILL')
      await proxy.until('given up', ({ namespaces }) => namespaces.length === 0)
      t.notOk(await isServed())
      const respawned = await driver.ask('check')
      t.equal(respawned.active, true, 'the process monitor starts it again')
      t.not(respawned.pid, spawned.pid)
      t.ok(await isServed(), 'served again')

      const destroyed = await driver.ask('destroy')
      t.match(destroyed, { active: false })
      t.equal(destroyed.error, undefined)
      await proxy.until('given up', ({ namespaces }) => namespaces.length === 0)
      t.notOk(await isServed())
      if (flavour === 'ml2') t.notOk(existsSync(destroyed.pid_file), 'no pid file is left')
      t.same(commandLineOf(respawned.pid ?? 0), [], 'the process has ended')

      await driver.ask('spawn')
      t.ok(await isServed(), 'and once more')
      t.match(readFileSync(destroyed.pid_file, 'utf8'), /^\d+\n$/)
      await driver.ask('destroy')
    },
  )
}
