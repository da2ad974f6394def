import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { headedTable } from '../../../lib/observe/text-table.ts'
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { NamedPids } from '../process-figures.ts'
import { selfTimes, type CpuProfile, type Stretch } from './self-times.ts'

const shownFunctions: Count = 45

/** One measured load, to be looked up in the profiles that the daemons write when they end. */
export interface ProfiledLoad {
  readonly name: string
  readonly stretch: Stretch
  readonly pids: NamedPids
  /** CPU of a request in all processes of a name, by name. */
  readonly cpuMsByProcess: Readonly<Record<string, Milliseconds>>
}

/** Microseconds of the clock that profiles have. */
export function profileClock(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** Samples the daemons of a run and prints which functions each measured load spent its time in. */
export class Profiler {
  /** Where the `.cpuprofile` files are left. */
  readonly folder: string
  readonly #loads: ProfiledLoad[] = []

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<Profiler> {
    const folder = await mkdtemp(join(tmpdir(), 'overlapd-profile-'))
    // Workers have given up being root.
    await chmod(folder, 0o777)
    return new Profiler(folder)
  }

  /** Options of Node for a daemon that is to be sampled, or for one whose children are. */
  nodeOptions(sampled: 'itself' | 'children'): readonly string[] {
    const url = pathToFileURL(join(import.meta.dirname, 'sampled.js'))
    url.searchParams.set('folder', this.folder)
    if (sampled === 'children') url.searchParams.set('children', '')
    return ['--import', url.href]
  }

  add(load: ProfiledLoad): void {
    this.#loads.push(load)
  }

  /** Self time by function in each load since the last time; the daemons must have ended. */
  text(): string {
    const profiles = new Map<number, readonly CpuProfile[]>()
    const profileOf = (pid: number): readonly CpuProfile[] => {
      const known = profiles.get(pid) ?? readProfile(join(this.folder, `${pid}.cpuprofile`))
      profiles.set(pid, known)
      return known
    }
    return this.#loads
      .splice(0)
      .flatMap((load) =>
        [...load.pids].map(([name, pids]) => tableOf(load, name, pids.flatMap(profileOf))),
      )
      .join('\n')
  }
}

function readProfile(file: string): readonly CpuProfile[] {
  return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8')) as CpuProfile] : []
}

function tableOf(load: ProfiledLoad, name: string, profiles: readonly CpuProfile[]): string {
  const microseconds = 1000 * (load.cpuMsByProcess[name] ?? Number.NaN)
  const rows = selfTimes(profiles, load.stretch)
    .slice(0, shownFunctions)
    .map(({ where, share }) => [
      (share * microseconds).toFixed(2),
      `${(100 * share).toFixed(1)} %`,
      where,
    ])
  if (rows.length === 0) return ''
  const title = `${load.name}: ${name}, ${microseconds.toFixed(1)} µs of CPU a request`
  return `${title}\n${headedTable(['µs/req', 'share', 'self time in'], rows)}`
}
