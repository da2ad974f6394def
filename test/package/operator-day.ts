/** What an operator does with a package, from installing to purging it, in a clean machine. */
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import type { Machine } from './machine.ts'
import { fourLines, instance, networkCommands, portsFile, routerNetns } from './scene.ts'
import type { Steps } from './steps.ts'

const load = fileURLToPath(new URL('request-load.mjs', import.meta.url))
const rate = 200
const url = 'http://169.254.169.254/openstack/latest/meta_data.json'
const apt = 'DEBIAN_FRONTEND=noninteractive apt-get -q -y'
const node = '/usr/lib/overlapd/bin/node'
const request = `${node} -e 'fetch("${url}").then(async r=>console.log(r.status,await r.text()),e=>console.log(0,e.cause.code))'`

/** All that may differ when a package was there once: logs, caches and the memory of dpkg itself. */
const volatile = [
  '/proc',
  '/sys',
  '/dev',
  '/run',
  '/tmp',
  '/root',
  '/srv',
  '/var/log',
  '/var/cache',
  '/var/lib/apt',
  '/var/lib/dpkg',
]

function snapshot(machine: Machine): ReadonlySet<string> {
  const pruned = volatile.map((path) => `-path ${path}`).join(' -o ')
  const files = machine.must(`find / \\( ${pruned} \\) -prune -o -print`)
  const accounts = machine.must("cat /etc/passwd /etc/group | cut -d: -f1 | sed 's/^/account /'")
  return new Set([...files.split('\n'), ...accounts.split('\n')])
}

/** Files of packages that stay: apt keeps a dependency that something else recommends. */
function ownedFiles(machine: Machine): ReadonlySet<string> {
  const lists = machine.must('cat /var/lib/dpkg/info/*.list')
  const paths = lists.split('\n').map((path) => path.replace(/^\/(?=(?:lib|bin|sbin)\b)/, '/usr/'))
  // netbase makes it, and leaves it.
  return new Set([...paths, '/etc/hosts'])
}

/** The guest sends requests until it gets its own metadata. @returns what it got last */
async function untilServed(machine: Machine, limit: number): Promise<string> {
  let got = ''
  for (let tries = 0; tries < limit; tries += 1) {
    got = machine.run(`ip netns exec guest ${request}`).output
    if (got.startsWith('200') && got.includes(instance)) return got
    await delay(200)
  }
  throw new Error(`the guest got ${got}`)
}

function write(machine: Machine, path: string, text: string): void {
  machine.must(`cat > ${path} <<'END'\n${text}END`)
}

/** Types the configuration, starts the daemons, and waits until the guest has its metadata. */
export async function serveGuest(machine: Machine): Promise<void> {
  machine.must(networkCommands)
  write(machine, '/etc/overlapd/ports.yaml', portsFile)
  write(machine, '/etc/overlapd/agent.yaml', fourLines)
  machine.must(
    'echo only-for-tests | install -m 0600 -o overlapd /dev/stdin /etc/overlapd/shared-secret',
  )
  const files = '--file /etc/overlapd/ports.yaml --shared-secret-file /etc/overlapd/shared-secret'
  machine.must(`systemd-run --unit=stand-in overlapd-agent serve-dev-compute ${files}`)
  machine.must('overlapd-agent check --quiet && overlapd-proxy check --quiet')
  machine.must('systemctl enable --now overlapd-agent overlapd-proxy overlapd-audit.timer')
  await untilServed(machine, 100)
}

/** Runs something while a guest sends requests all the time. */
async function underLoad(machine: Machine, work: () => void): Promise<string> {
  machine.must('rm -f /srv/stop')
  const sending = machine.start(
    `ip netns exec guest ${node} /srv/request-load.mjs ${rate} /srv/stop ${instance}`,
  )
  await delay(3_000)
  work()
  await delay(5_000)
  machine.must('touch /srv/stop')
  const { output } = await sending
  const counts = JSON.parse(output) as {
    readonly sent: number
    readonly good: number
    readonly failures: Readonly<Record<string, number>>
    readonly seconds: number
  }
  const failed = counts.sent - counts.good
  const text = `${counts.sent} requests in ${counts.seconds.toFixed(1)} s, ${failed} failed ${failed > 0 ? JSON.stringify(counts.failures) : ''}`
  if (failed > 0) throw new Error(text)
  if (counts.sent / counts.seconds < rate * 0.9) throw new Error(`too slow to count: ${text}`)
  return text
}

/**
 * @param first the package to begin with
 * @param second a later one
 */
export async function operatorDay(
  machine: Machine,
  steps: Steps,
  first: string,
  second: string,
): Promise<void> {
  machine.copy(first, '/srv/first.deb')
  machine.copy(second, '/srv/second.deb')
  machine.copy(load, '/srv/request-load.mjs')
  machine.must('apt-get -q update')
  const before = snapshot(machine)
  const typed = Date.now()

  await steps.run('apt install ./overlapd.deb', () => {
    machine.must(`${apt} install /srv/first.deb`)
    return machine.must('overlapd --version').trim()
  })
  await steps.run('installing starts nothing', () => {
    const { output } = machine.run('systemctl is-active overlapd-agent overlapd-proxy')
    if (output !== 'inactive\ninactive\n') throw new Error(output)
  })
  await steps.run('four lines of configuration, and a guest is served', async () => {
    await serveGuest(machine)
    const seconds = (Date.now() - typed) / 1_000
    const text = `${seconds.toFixed(1)} s after "apt install" was typed`
    if (seconds > 60) throw new Error(text)
    return text
  })
  await steps.run('health and doctor find nothing wrong', () => {
    const doctor = machine.must('overlapd health && overlapd doctor')
    return doctor
      .split('\n')
      .filter((line) => !/^(?:ok| {6}|$)/.test(line))
      .join('; ')
  })
  await steps.run('the audit runs as its unit does', () => {
    machine.must('systemctl start overlapd-audit.service')
  })
  await steps.run(`upgrade under ${rate} requests/s`, () =>
    underLoad(machine, () => {
      machine.must(`${apt} install /srv/second.deb`)
    }),
  )
  await steps.run('the new version runs', () => {
    for (const unit of ['overlapd-agent', 'overlapd-proxy']) {
      machine.must(`systemctl is-active ${unit}`)
      const since = machine.must(`systemctl show -p NRestarts,ActiveEnterTimestamp ${unit}`)
      if (!since.includes('NRestarts=0')) throw new Error(since)
    }
    return machine.must('overlapd --version').trim()
  })
  await steps.run(
    'an upgrade with a configuration that is refused leaves what serves',
    async () => {
      write(machine, '/etc/overlapd/agent.yaml', 'no_such_key: 1\n')
      const pid = machine.must('systemctl show -p MainPID --value overlapd-agent')
      const said = machine.must(`${apt} install --allow-downgrades /srv/first.deb`)
      if (!said.includes('overlapd-agent was not restarted')) throw new Error(said)
      if (machine.must('systemctl show -p MainPID --value overlapd-agent') !== pid) {
        throw new Error('the agent was restarted')
      }
      await untilServed(machine, 1)
    },
  )
  await steps.run(
    'a restart with a wrong file fails at once and says why, and comes up with a right one',
    async () => {
      if (machine.run('systemctl restart overlapd-agent').code === 0) throw new Error('it did not')
      const log = machine.must('journalctl --no-pager -u overlapd-agent')
      if (!log.includes('no_such_key: unknown key')) throw new Error(log)
      write(machine, '/etc/overlapd/agent.yaml', fourLines)
      await untilServed(machine, 100)
    },
  )
  await steps.run('purge leaves nothing', () => {
    machine.must('systemctl stop stand-in')
    machine.must(`${apt} purge overlapd`)
    const rules = machine.must(`ip netns exec ${routerNetns} nft list tables`)
    if (rules.includes('overlapd')) throw new Error(`in the router: ${rules}`)
    const left = machine.run(
      [
        'readlink /proc/[0-9]*/exe | grep overlapd',
        'ls -d /run/overlapd 2>/dev/null',
        'systemctl list-units --all --no-legend "overlapd*"',
        'systemctl list-unit-files --no-legend "overlapd*"',
      ].join('; '),
    ).output
    if (left !== '') throw new Error(left)
    machine.must(`${apt} autoremove --purge`)
    const owned = ownedFiles(machine)
    const added = [...snapshot(machine)].filter((path) => !before.has(path) && !owned.has(path))
    if (added.length > 0) throw new Error(`left: ${added.slice(0, 20).join(', ')}`)
  })
}
