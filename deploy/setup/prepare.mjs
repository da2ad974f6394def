// Makes a fresh clone ready to run: npm packages, the build, and on Debian the system tools that namespaces need.
// Plain JavaScript without dependencies, because it runs before there are any. Prints what it does, and is quick and
// silent when there is nothing to do.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, chmodSync, constants, existsSync } from 'node:fs'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const wanted = new Set(process.argv.slice(2))
const sourceFolders = [
  'lib',
  'proxy',
  'agent-side',
  'deploy',
  'test/bench',
  'test/openstack',
  'test/support',
]

/** Debian package and the program that shows it is there. The program nft comes with the library that loads the rules. */
const systemTools = [
  ['iproute2', 'ip'],
  ['nftables', 'nft'],
  ['util-linux', 'nsenter'],
]

/** What the tests do inside namespaces besides. */
const testTools = [
  ['iputils-ping', 'ping'],
  ['procps', 'sysctl'],
  ['conntrack', 'conntrack'],
  ['openssl', 'openssl'],
  ['busybox', 'busybox'],
  ['amazon-ec2-utils', 'ec2-metadata'],
  ['cloud-guest-utils', 'ec2metadata'],
  ['curl', 'curl'],
  ['wget', 'wget'],
  ['ovn-central', 'ovn-northd'],
  ['ovn-host', 'ovn-controller'],
  ['openvswitch-switch', 'ovs-vswitchd'],
  ['prometheus', 'promtool'],
  ['systemd', 'systemd-analyze'],
  ['man-db', 'man'],
]

/** What makes clean machines for the package, and judges it. */
const packageTools = [
  ['debootstrap', 'debootstrap'],
  ['systemd-container', 'systemd-nspawn'],
  ['lintian', 'lintian'],
]

function report(text) {
  process.stderr.write(`overlapd: ${text}\n`)
}

function fail(text) {
  report(text)
  process.exit(1)
}

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options })
  return done.status === 0
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 18)) {
    fail(`Node ${process.versions.node} is too old: version 20.18 or newer is needed`)
  }
}

function installPackages() {
  const lock = readFileSync(join(root, 'package-lock.json'))
  const fingerprint = createHash('sha256').update(lock).update(process.version).digest('hex')
  const stamp = join(root, 'node_modules', '.overlapd-installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint) return
  report('installing npm packages (once, about half a minute)')
  const quiet = ['--no-fund', '--no-audit', '--loglevel=error']
  if (!run('npm', ['ci', '--include=dev', ...quiet])) fail('npm could not install the packages')
  writeFileSync(stamp, fingerprint)
}

function newestChange(folder) {
  let newest = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) newest = Math.max(newest, newestChange(path))
    else if (entry.name.endsWith('.ts')) newest = Math.max(newest, statSync(path).mtimeMs)
  }
  return newest
}

/** Files that npm links as commands must be executable; the compiler does not care. */
function markExecutable() {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const path of Object.values(bin)) {
    if (existsSync(join(root, path))) chmodSync(join(root, path), 0o755)
  }
}

function build() {
  const stamp = join(root, 'dist', '.built')
  const sources = sourceFolders
    .map((folder) => join(root, folder))
    .filter((path) => existsSync(path))
  const changed = Math.max(
    ...sources.map(newestChange),
    statSync(join(root, 'tsconfig.json')).mtimeMs,
    statSync(join(root, 'package-lock.json')).mtimeMs,
  )
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= changed) return
  report('building')
  // A file that was deleted from the sources must not live on in the build.
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  mkdirSync(join(root, 'dist'), { recursive: true })
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  if (!run(process.execPath, [compiler, '-p', 'tsconfig.json'])) fail('the build failed')
  writeFileSync(stamp, '')
  markExecutable()
}

function isOnPath(program) {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':')
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function installSystemTools(tools) {
  if (process.platform !== 'linux') return
  const missing = tools.filter(([, program]) => !isOnPath(program)).map(([name]) => name)
  if (missing.length === 0) return
  const names = missing.join(' ')
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    report(`for real namespaces also install: ${names}`)
    return
  }
  report(`installing ${names} with apt-get`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args) => run('apt-get', ['-q', '-y', ...args], { env, stdio: 'ignore' })
  const install = (packages) => apt('install', '--no-install-recommends', ...packages)
  withoutStartingServices(() => {
    if (install(missing) || (apt('update') && install(missing))) return
    // One that this system does not have must not keep the others away.
    const failed = missing.filter((name) => !install([name]))
    if (failed.length > 0) report(`apt-get could not install ${failed.join(' ')}`)
  })
}

/** The tests start what they need by themselves; Debian runs this program before it starts a daemon. */
function withoutStartingServices(work) {
  const policy = '/usr/sbin/policy-rc.d'
  const isOurs = !existsSync(policy)
  if (isOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    work()
  } finally {
    if (isOurs) rmSync(policy)
  }
}

requireNode()
installPackages()
if (wanted.has('--system')) installSystemTools(systemTools)
if (wanted.has('--tests')) installSystemTools([...systemTools, ...testTools])
if (wanted.has('--packages')) installSystemTools([...systemTools, ...packageTools])
if (wanted.has('--build')) build()
