import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findingCodes } from '../../lib/operator/host-codes.ts'
import { commandLineOf } from '../../lib/host/process-facts.ts'
import {
  fetchFrom,
  ipBatch,
  makeNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
  type MadeNamespace,
  type Ran,
} from '../support/netns.ts'
import { openFolder, startProxy, type RunningProxy } from '../support/running-proxy.ts'

const standIn = fileURLToPath(new URL('../../dist/proxy/haproxy-shim/main.js', import.meta.url))
const program = fileURLToPath(new URL('../../dist/proxy/main.js', import.meta.url))
const haproxy = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find((path) => existsSync(path))

/** A DHCP namespace with both metadata addresses and one guest. */
function makeNetwork(t: Test): MadeNamespace {
  const [made] = makeNamespaces(t, [
    {
      netns: uniqueName(),
      interface: 'tap0',
      addresses: ['10.0.0.2/24', '169.254.169.254/32', 'fe80::a9fe:a9fe/64'],
      guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'], mac: 'fa:16:3e:00:00:10' },
    },
  ])
  ipBatch(['route add 169.254.169.254 dev eth0'], made!.guest)
  return made!
}

interface Configured {
  readonly id: string
  readonly file: string
  readonly pidFile: string
}

/** Writes what Neutron's DHCP agent would. */
function configure(
  t: Test,
  agentSocket: string,
  changes: (text: string) => string = String,
): Configured {
  const id = randomUUID()
  const folder = join(openFolder(t), 'ns-metadata-proxy')
  mkdirSync(folder)
  const pidFile = join(folder, `${id}.pid.haproxy`)
  const fixture = new URL('../fixtures/haproxy/neutron-21-network.conf', import.meta.url)
  const text = readFileSync(fixture, 'utf8')
    .replaceAll('6a4f4e4c-3f62-4d6e-9f0e-3d1a2b0c9d10', id)
    .replace(/pidfile .*/, `pidfile ${pidFile}`)
    .replace('/var/lib/neutron/metadata_proxy', agentSocket)
    .replace('tap1234abcd-ef', 'tap0')
  const file = join(folder, `${id}.conf`)
  writeFileSync(file, changes(text))
  return { id, file, pidFile }
}

function pidOf({ pidFile }: Configured): number {
  return Number(readFileSync(pidFile, 'utf8'))
}

/** Runs the stand-in as Neutron's agents do, and ends what it leaves behind. */
async function standInFor(
  t: Test,
  proxy: { control: string },
  netns: string,
  configured: Configured,
): Promise<Ran> {
  const words = [process.execPath, standIn, '--control', proxy.control, '-f', configured.file]
  const ran = await runInNetns(netns, words)
  t.teardown(() => {
    if (!existsSync(configured.pidFile)) return
    const pid = pidOf(configured)
    const isOurs = existsSync(`/proc/${pid}/cmdline`) && commandOf(pid).includes(configured.id)
    if (isOurs) process.kill(pid, 'SIGKILL')
  })
  return ran
}

function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
}

async function startControlled(
  t: Test,
  folder: string,
  ...set: string[]
): Promise<RunningProxy & { control: string }> {
  const control = join(folder, 'control.sock')
  return { ...(await startProxy(t, `control.socket=${control}`, ...set)), control }
}

function agentSocketOf({ adminSocket }: RunningProxy): string {
  return join(dirname(adminSocket), 'agent.sock')
}

if (skipUnlessPrivileged(t)) {
  t.test(
    'overlapd-haproxy has a namespace served for as long as its process lives, whoever restarts',
    async (t) => {
      const folder = openFolder(t)
      const made = makeNetwork(t)
      const proxy = await startControlled(t, folder, 'discover=false')
      const configured = configure(t, agentSocketOf(proxy))
      const ran = await standInFor(t, proxy, made.netns, configured)
      t.match(ran, { code: 0, stderr: '' })

      const pid = pidOf(configured)
      t.ok(commandOf(pid).includes(configured.id), 'Neutron knows it by the id')
      const status = await proxy.until(
        'serving',
        ({ namespaces }) => namespaces[0]?.state === 'serving',
      )
      t.match(status.namespaces, [{ scope: `network/${configured.id}`, flavour: 'ml2' }])
      const answer = await fetchFrom(made.guest!, '/latest')
      t.match(answer.stdout, `"x-neutron-network-id":"${configured.id}"`)
      t.match(answer.stdout, '"x-forwarded-for":"10.0.0.10"')
      t.match(
        (await fetchFrom(made.guest!, '/', 'fe80::a9fe:a9fe%eth0')).stdout,
        '"x-forwarded-for":"fe80::10"',
      )
      const memory = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
      t.ok(Number(memory?.[1]) < 2_000, `the waiting process takes ${memory?.[1]} kB`)

      const twice = await standInFor(t, proxy, made.netns, configured)
      t.match(twice, { code: 1, stderr: /\[ALERT\].*stands for it already/ })

      await proxy.stop()
      t.equal((await fetchFrom(made.guest!, '/latest')).code, 3)
      const next = await startControlled(t, folder, 'discover=false')
      await next.until('serving again', ({ namespaces }) => namespaces[0]?.state === 'serving')
      t.match((await fetchFrom(made.guest!, '/latest')).stdout, configured.id)

      process.kill(pid, 'SIGHUP')
      process.kill(pid, 'SIGTERM')
      await next.until('given up', ({ namespaces }) => namespaces.length === 0)
      t.equal((await fetchFrom(made.guest!, '/latest')).code, 3)
      t.same(readdirSync(join(folder, 'attachments')), [])

      t.match(await standInFor(t, next, made.netns, configured), { code: 0 })
      t.match((await fetchFrom(made.guest!, '/latest')).stdout, configured.id)
    },
  )

  t.test('overlapd-haproxy waits for a proxy that does not run yet', async (t) => {
    const folder = openFolder(t)
    const made = makeNetwork(t)
    const configured = configure(t, '/nowhere.sock')
    const early = { control: join(folder, 'control.sock') }
    const ran = await standInFor(t, early, made.netns, configured)
    t.match(ran, { code: 0, stderr: /\[WARNING\].*is served as soon as it runs/ })
    const proxy = await startControlled(t, folder, 'discover=false')
    await proxy.until('serving', ({ namespaces }) => namespaces[0]?.state === 'serving')
    t.match((await fetchFrom(made.guest!, '/latest')).stdout, configured.id)
  })

  t.test(
    'overlapd-haproxy fails as haproxy would when the port is taken, and names the holder',
    async (t) => {
      const made = makeNetwork(t)
      const proxy = await startControlled(t, openFolder(t), 'discover=false')
      const configured = configure(t, agentSocketOf(proxy), (text) =>
        text.replace(/ *bind fe80.*\n/, ''),
      )
      const listen = `require('net').createServer().listen(80, '169.254.169.254', () => console.log('on'))`
      const other = spawn('ip', ['netns', 'exec', made.netns, process.execPath, '-e', listen])
      t.teardown(() => other.kill('SIGKILL'))
      await once(other.stdout, 'data')
      const ran = await standInFor(t, proxy, made.netns, configured)
      t.equal(ran.code, 1)
      t.match(
        ran.stderr,
        new RegExp(`EADDRINUSE \\(another process listens there: ${other.pid}, .*createServer`),
      )
      t.notOk(existsSync(configured.pidFile))
      t.match((await proxy.status()).namespaces, [])
    },
  )

  t.test(
    'overlapd-haproxy is refused where the configuration contradicts the name of the namespace',
    async (t) => {
      const made = makeNetwork(t)
      const proxy = await startControlled(t, openFolder(t))
      const configured = configure(t, agentSocketOf(proxy))
      symlinkSync(made.path, join(proxy.netnsFolder, `qdhcp-${randomUUID()}`))
      const ran = await standInFor(t, proxy, made.netns, configured)
      t.match(ran, { code: 1, stderr: /its name stands for network/ })
      t.match(
        (await fetchFrom(made.guest!, '/latest')).stdout,
        '"x-neutron-network-id"',
        'as it is called',
      )
    },
  )

  t.test('The control socket is root’s alone', async (t) => {
    const proxy = await startControlled(t, openFolder(t))
    const ask = `
      const socket = require('net').connect(${JSON.stringify(proxy.control)})
      socket.on('error', (cause) => console.log(cause.code))
      if (process.argv[1] === '0') socket.write('{"kind":"attach","name":"router-x"}\\n')
      socket.pipe(process.stdout)`
    const asked = (uid: number): string =>
      execFileSync('env', ['-i', process.execPath, '-e', ask, String(uid)], {
        uid,
        encoding: 'utf8',
      })
    t.equal(asked(65_534).trim(), 'EACCES')
    t.match(asked(0), /"ok":false,"why":"ENOENT/)
    execFileSync('chmod', ['0666', proxy.control])
    t.equal(asked(65_534).trim(), '{"ok":false,"why":"only root may send requests"}')
  })

  t.test(
    'overlapd-proxy removes its own leftover rules at start, and only where they are unused',
    async (t) => {
      const [left, used] = [makeNetwork(t), makeNetwork(t)]
      const folder = openFolder(t)
      const rules =
        'table inet overlapd { chain c { type filter hook input priority 0; tcp dport 9697 counter drop; }; }'
      for (const { netns } of [left, used]) await runInNetns(netns, ['nft', '-f', '-'], rules)
      const listen = `require('net').createServer().listen(9697, '127.0.0.1', () => console.log('on'))`
      const other = spawn('ip', ['netns', 'exec', used.netns, process.execPath, '-e', listen])
      t.teardown(() => other.kill('SIGKILL'))
      await once(other.stdout, 'data')
      const names = join(folder, 'names')
      mkdirSync(names)
      for (const { netns, path } of [left, used]) symlinkSync(path, join(names, netns))
      const proxy = await startControlled(t, folder, 'discover=false', `netns_dir=${names}`)
      const tables = async (netns: string): Promise<string> =>
        (await runInNetns(netns, ['nft', 'list', 'tables'])).stdout
      for (let tries = 0; tries < 500 && (await tables(left.netns)) !== ''; tries += 1);
      t.equal(await tables(left.netns), '', proxy.log())
      t.match(await tables(used.netns), 'table inet overlapd')
      await proxy.stop()
      t.match(proxy.log(), 'Rules of an earlier proxy are removed')
      t.match(proxy.log(), 'Rules in a namespace that another process serves are left alone')
    },
  )

  if (haproxy === undefined) {
    const reason = 'haproxy is not installed'
    // Where a skip would hide something.
    if (process.env['OVERLAPD_TEST_REQUIRE_OPENSTACK'] === '1') t.fail(reason)
    else t.test('overlapd-proxy adopt', { skip: reason }, async () => undefined)
  } else {
    t.test(
      'overlapd-proxy adopt takes over a haproxy under load without a refused connection',
      async (t) => {
        const made = makeNetwork(t)
        const proxy = await startControlled(t, openFolder(t))
        const configured = configure(t, agentSocketOf(proxy))
        await runInNetns(made.netns, [haproxy, '-f', configured.file])
        t.teardown(() => existsSync(`/proc/${old}`) && process.kill(old, 'SIGKILL'))
        const old = pidOf(configured)
        symlinkSync(made.path, join(proxy.netnsFolder, `qdhcp-${configured.id}`))
        const failed = await proxy.until(
          'failed',
          ({ namespaces }) => namespaces[0]?.state === 'failed',
        )
        t.match(failed.namespaces[0]?.why, `another process listens there: ${old}, ${haproxy} -f`)

        const settings = [`netns_dir=${proxy.netnsFolder}`, `control.socket=${proxy.control}`]
        const adopt = (...words: string[]): Promise<Ran> =>
          runHere(['adopt', ...settings.flatMap((one) => ['--set', one]), ...words])
        t.match(await adopt(), { code: 0, stdout: /can be taken over/ })
        t.match(await adopt('--stop-haproxy'), {
          code: 2,
          stderr: /name the namespaces to take over, or use --all/,
        })
        t.match(await adopt('--stop-haproxy', 'other'), {
          code: 2,
          stderr: /no haproxy of Neutron/,
        })
        t.match(await adopt('--stop-haproxy', '--dry-run', configured.id), {
          code: 0,
          stdout: /can be/,
        })
        t.equal(pidOf(configured), old)

        const loading = new AbortController()
        const answers = { good: 0, bad: 0, ours: 0 }
        const load = (async () => {
          while (!loading.signal.aborted) {
            const { code, stdout } = await fetchFrom(made.guest!, '/latest')
            const isGood = code === 0 && stdout.includes(configured.id)
            answers[isGood ? 'good' : 'bad'] += 1
            if (stdout.includes('x-request-id')) answers.ours += 1
          }
        })()
        const printed = /"overlapd-proxy adopt ([^"]+)"/.exec(findingCodes.haproxy_left.remedy)
        // Other tests have haproxies of their own on this host.
        const words = (printed?.[1] ?? '').replace('--all', configured.id).split(' ')
        const done = await adopt(...words)
        t.match(done, { code: 0, stdout: /taken over/ })
        t.same(commandLineOf(old), [], 'haproxy has ended')
        await fetchFrom(made.guest!, '/latest')
        loading.abort()
        await load
        t.equal(answers.bad, 0, JSON.stringify(answers))

        const status = await proxy.until(
          'serving',
          ({ namespaces }) => namespaces[0]?.why === undefined,
        )
        t.same(status.namespaces[0]?.listeners.toSorted(), [
          '169.254.169.254:80',
          '[fe80::a9fe:a9fe%tap0]:80',
        ])
        const answer = await fetchFrom(made.guest!, '/', 'fe80::a9fe:a9fe%eth0')
        t.match(
          answer.stdout,
          '"x-overlapd-source-mac":"fa:16:3e:00:00:10"',
          'also the MAC is known',
        )
        t.not(pidOf(configured), old)
        t.ok(
          commandOf(pidOf(configured)).includes(configured.id),
          'Neutron sees a process as before',
        )
        unlinkSync(join(proxy.netnsFolder, `qdhcp-${configured.id}`))
        process.kill(pidOf(configured), 'SIGTERM')
        await proxy.until('given up', ({ namespaces }) => namespaces.length === 0)
        t.match(
          await runInNetns(made.netns, [haproxy, '-f', configured.file]),
          { code: 0 },
          'and back',
        )
        t.match((await fetchFrom(made.guest!, '/latest')).stdout, configured.id)
        process.kill(pidOf(configured), 'SIGKILL')
      },
    )
  }
}

async function runHere(words: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [program, ...words])
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? 255, stdout, stderr }
}
