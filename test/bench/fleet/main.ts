import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { whyNoOvnCentral } from '../../support/ovn-central.ts'
import { readOptions } from '../../support/read-options.ts'
import { machineFacts } from '../machine.ts'
import { measureCentral } from './central.ts'
import type { Cloud } from './cloud-rows.ts'
import type { CentralRow } from './central-row.ts'
import { centralTable, fleetPage, fleetTable, pushTable } from './fleet-page.ts'
import type { FleetRow } from './fleet-row.ts'
import { measureHeldCopies } from './held-copies.ts'
import {
  extrapolated,
  measureHost,
  measureHosts,
  measureNewNetwork,
  measureRestart,
  type Fleet,
} from './measure.ts'
import { measurePushes, type PushFigures } from './pushes.ts'
import { writeSouthboundFile } from './southbound-file.ts'
import { clusteredFile, relayOf, SouthboundServer } from './southbound-servers.ts'

const help = `Measures what a fleet of hosts costs OVN's southbound database, and what the database costs a host.

Usage: npm run bench:fleet -- [--quick] [--hosts N] [--only PART]... [--folder FOLDER] [--json FILE]
                              [--results] [--add FILE]...

  --quick          50,000 ports and 100 hosts, in some minutes; otherwise 1,000,000 ports and 1,000 hosts
  --hosts N        another number of hosts
  --folder FOLDER  keep the database there, and take the one that is there
  --only PART      host, hosts, restart, relay, central, held, or pushes; may be repeated
  --json FILE      write all rows as JSON
  --results        write test/bench/FLEET.md
  --add FILE       with the rows of an earlier run, from its JSON; may be repeated, the newest first

Needs ovsdb-server and OVN's schema (Debian: ovn-central); for 1,000,000 ports 12 GiB of memory, and 8 GiB for the relay.
`

const resultsFile = fileURLToPath(new URL('../../../../test/bench/FLEET.md', import.meta.url))
const rabbitMq = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const portsPerNetwork = 20
const networksOnHost = 50

function note(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}

const parts = ['host', 'hosts', 'restart', 'relay', 'central', 'held', 'pushes'] as const
/** They need no server. */
const apart: ReadonlySet<Part> = new Set(['held', 'pushes'])
type Part = (typeof parts)[number]

interface Wanted {
  readonly quick: boolean
  readonly hosts: number
  readonly only: ReadonlySet<Part>
}

function cloudOf(quick: boolean): Cloud {
  return { networks: quick ? 2_500 : 50_000, portsPerNetwork }
}

/** Everything of one run but the pushes. */
interface Measured {
  readonly rows: readonly FleetRow[]
  readonly central: readonly CentralRow[]
}

async function measure({ quick, hosts, only }: Wanted, folder: string): Promise<Measured> {
  const cloud = cloudOf(quick)
  const file = join(folder, 'southbound.db')
  if (!existsSync(file)) {
    note('the database is written')
    await writeSouthboundFile(join(folder, 'standalone.db'), cloud)
    await clusteredFile(join(folder, 'standalone.db'), file)
    await rm(join(folder, 'standalone.db'))
  }
  const server = new SouthboundServer(folder, 'southbound', file)
  const relay = new SouthboundServer(folder, 'relay', relayOf(server))
  const rows: FleetRow[] = []
  const central: CentralRow[] = []
  const add = (...more: readonly FleetRow[]): void => {
    rows.push(...more)
    note(`\n${fleetTable(more)}`)
  }
  try {
    note('the server reads it')
    await server.start()
    const fleet: Fleet = { cloud, server, networksOnHost }
    if (only.has('host')) {
      add(await measureHost(fleet, 'served'), await measureNewNetwork(fleet))
      if (quick) add(await measureHost(fleet, 'all'))
    }
    if (only.has('hosts')) add(...(await measureHosts(fleet, hosts, 'hosts at one server')))
    const extrapolatable = [...rows]
    if (only.has('restart')) add(await measureRestart(fleet, hosts))
    if (only.has('relay')) {
      note('the relay copies the database')
      await relay.start()
      add(...(await measureHosts({ ...fleet, server: relay }, hosts, 'hosts at a relay')))
      await relay.stop()
    }
    if (only.has('central')) {
      await measureCentral(fleet, hosts, join(folder, 'central'), (row) => {
        central.push(row)
        note(`\n${centralTable([row])}`)
      })
    }
    for (const fleetSize of [1_000, 10_000].filter((size) => size > hosts)) {
      const measured = extrapolatable.filter(({ name }) => isOfFleet(name))
      add(...measured.map((row) => extrapolated(row, fleetSize)))
    }
    return { rows, central }
  } finally {
    await relay.stop()
    await server.stop()
  }
}

/** Only rows whose CPU grows with the hosts. */
function isOfFleet(name: string): boolean {
  return name.startsWith('hosts') || name === 'one host, copy all'
}

/** What a run wrote with `--json`. */
interface Run extends Measured {
  readonly pushes?: PushFigures | undefined
}

async function readRun(file: string): Promise<Run> {
  const { rows, central = [], pushes } = JSON.parse(await readFile(file, 'utf8')) as Partial<Run>
  return { rows: rows ?? [], central, pushes }
}

/** The first of each that was measured in the same way: runs are given newest first. */
function newest<Row extends { readonly name: string; readonly portsInCloud: number }>(
  rows: readonly Row[],
): readonly Row[] {
  const seen = new Set<string>()
  return rows.filter((row) => {
    const { hosts, proxies } = row as { readonly hosts?: number; readonly proxies?: number }
    const key = JSON.stringify([row.name, row.portsInCloud, hosts, proxies])
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function partsIn(words: readonly string[]): ReadonlySet<Part> {
  const wanted = parts.filter((part) => words.includes(part))
  return new Set(wanted.length > 0 ? wanted : parts)
}

const nothing: Measured = { rows: [], central: [] }

async function pushesHere(quick: boolean): Promise<PushFigures | undefined> {
  if (!existsSync(rabbitMq)) {
    note(`no RabbitMQ here (${rabbitMq})`)
    return undefined
  }
  const pushes = await measurePushes(quick ? 5_000 : 20_000, 1)
  note(`\n${pushTable(pushes)}`)
  return pushes
}

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        quick: { type: 'boolean', default: false },
        hosts: { type: 'string' },
        folder: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        json: { type: 'string' },
        add: { type: 'string', multiple: true, default: [] },
        results: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    },
    help,
  )
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const missing = whyNoOvnCentral()
  if (missing !== undefined) {
    process.stderr.write(`bench: ${missing}\n`)
    return 3
  }
  const facts = machineFacts()
  const { quick } = values
  const hosts = Number(values.hosts ?? (quick ? 100 : 1_000))
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'overlapd-fleet-')))
  try {
    const only = partsIn(values.only)
    const pushes = only.has('pushes') ? await pushesHere(quick) : undefined
    const held = only.has('held') ? measureHeldCopies(cloudOf(quick)) : []
    const isNeeded = [...only].some((part) => !apart.has(part))
    const served = isNeeded ? await measure({ quick, hosts, only }, folder) : nothing
    const measured = { ...served, rows: [...served.rows, ...held] }
    process.stdout.write(`${fleetTable(measured.rows)}\n${centralTable(measured.central)}\n`)
    const run: Run = { ...measured, pushes }
    if (values.json !== undefined) {
      await writeFile(values.json, `${JSON.stringify(run, undefined, 2)}\n`)
    }
    if (values.results) {
      const earlier = await Promise.all(values.add.map(readRun))
      const all = [run, ...earlier]
      const page = {
        rows: newest(all.flatMap(({ rows }) => rows)),
        central: newest(all.flatMap(({ central }) => central)),
        pushes: all.map((one) => one.pushes).find((one) => one !== undefined),
      }
      const command = `npm run bench:fleet -- ${quick ? '--quick ' : ''}--results`
      await writeFile(resultsFile, fleetPage(page, { command, earlier: earlier.length > 0 }, facts))
    }
    return 0
  } finally {
    if (values.folder === undefined) await rm(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
