import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { packageVersion } from '../../lib/runtime/package-version.ts'

/** Packages of the peer whose versions matter. */
const packages = ['neutron-server', 'neutron-metadata-agent', 'haproxy', 'rabbitmq-server']

/** One thing about a machine: `['memory', '23 GiB']`. */
export type MachineFact = readonly [what: string, value: string]

/** What figures were measured on. Taken before the first of them, it tells what else the machine had to do. */
export function machineFacts(): readonly MachineFact[] {
  const memory = Math.round(totalmem() / 2 ** 30)
  return [
    ['processors', `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`],
    ['memory', `${memory} GiB`],
    [
      'load before',
      loadavg()
        .map((value) => value.toFixed(2))
        .join(' '),
    ],
    ['system', `${distribution()}, Linux ${release()}`],
    ['Node', process.versions.node],
    ['overlapd', `${packageVersion()}${commit()}`],
    ...packages.flatMap((name) => {
      const version = packageVersionOf(name)
      return version === undefined ? [] : [[name, version] as const]
    }),
  ]
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? ''
  } catch {
    return process.platform
  }
}

function commit(): string {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    encoding: 'utf8',
  })
  return status === 0 ? ` (${stdout.trim()})` : ''
}

function packageVersionOf(name: string): string | undefined {
  const query = ['-W', '-f', '${db:Status-Abbrev}${Version}', name]
  const { status, stdout } = spawnSync('dpkg-query', query, { encoding: 'utf8' })
  return status === 0 && stdout.startsWith('ii ') ? stdout.slice(3).trim() : undefined
}
