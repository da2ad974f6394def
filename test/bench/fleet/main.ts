import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { whyNoOvnCentral } from '../../support/ovn-central.ts'
import { readOptions } from '../../support/read-options.ts'
import { machineFacts } from '../machine.ts'
import { fleetPage, fleetTable, pushTable } from './fleet-page.ts'
import type { FleetRow } from './fleet-row.ts'
import {
  extrapolated,
  measureHost,
  measureHosts,
  measureNewNetwork,
  type Fleet,
} from './measure.ts'
import { measurePushes } from './pushes.ts'
import { writeSouthboundFile } from './southbound-file.ts'
import { clusteredFile, SouthboundServer } from './southbound-servers.ts'

const help = `Measures what a fleet of hosts costs OVN's southbound database, and what the database costs a host.

Usage: npm run bench:fleet -- [--quick] [--hosts N] [--folder FOLDER] [--no-relay] [--json FILE]
                              [--results] [--add FILE]...

  --quick          50,000 ports and 100 hosts, in some minutes; otherwise 1,000,000 ports and 1,000 hosts
  --hosts N        another number of hosts
  --folder FOLDER  keep the database there, and take the one that is there
  --no-relay       leave the relay out
  --json FILE      write all rows as JSON
  --results        write test/bench/FLEET.md
  --add FILE       with the rows of an earlier run, from its JSON; may be repeated

Needs ovsdb-server and OVN's schema (Debian: ovn-central); for 1,000,000 ports 12 GiB of memory, and 8 GiB for the relay.
`

const resultsFile = fileURLToPath(new URL('../../../../test/bench/FLEET.md', import.meta.url))
const rabbitMq = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const portsPerNetwork = 20
const networksOnHost = 50

function note(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}

interface Wanted {
  readonly quick: boolean
  readonly hosts: number
  readonly hasRelay: boolean
}

async function measure(
  { quick, hosts, hasRelay }: Wanted,
  folder: string,
): Promise<readonly FleetRow[]> {
  const cloud = { networks: quick ? 2_500 : 50_000, portsPerNetwork }
  const file = join(folder, 'southbound.db')
  if (!existsSync(file)) {
    note('the database is written')
    await writeSouthboundFile(join(folder, 'standalone.db'), cloud)
    await clusteredFile(join(folder, 'standalone.db'), file)
    await rm(join(folder, 'standalone.db'))
  }
  const server = new SouthboundServer(folder, 'southbound', file)
  const relay = new SouthboundServer(folder, 'relay', `relay:OVN_Southbound:${server.endpoint}`)
  const rows: FleetRow[] = []
  const add = (...more: readonly FleetRow[]): void => {
    rows.push(...more)
    note(`\n${fleetTable(more)}`)
  }
  try {
    note('the server reads it')
    await server.start()
    const fleet: Fleet = { cloud, server, networksOnHost }
    add(await measureHost(fleet, 'served'), await measureNewNetwork(fleet))
    const all = quick ? [await measureHost(fleet, 'all')] : []
    add(...all)
    const measured = await measureHosts(fleet, hosts, 'hosts at one server')
    add(...measured)
    if (hasRelay) {
      note('the relay copies the database')
      await relay.start()
      add(...(await measureHosts({ ...fleet, server: relay }, hosts, 'hosts at a relay')))
    }
    for (const fleetSize of [1_000, 10_000].filter((size) => size > hosts)) {
      add(...[...measured, ...all].map((row) => extrapolated(row, fleetSize)))
    }
    return rows
  } finally {
    await relay.stop()
    await server.stop()
  }
}

async function rowsOf(file: string): Promise<readonly FleetRow[]> {
  const { rows } = JSON.parse(await readFile(file, 'utf8')) as { rows: readonly FleetRow[] }
  return rows
}

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        quick: { type: 'boolean', default: false },
        hosts: { type: 'string' },
        folder: { type: 'string' },
        'no-relay': { type: 'boolean', default: false },
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
    const pushes = existsSync(rabbitMq) ? await measurePushes(quick ? 5_000 : 20_000, 1) : undefined
    if (pushes === undefined) note(`no RabbitMQ here (${rabbitMq})`)
    else note(`\n${pushTable(pushes)}`)
    const rows = await measure({ quick, hosts, hasRelay: !values['no-relay'] }, folder)
    process.stdout.write(`${fleetTable(rows)}\n`)
    if (values.json !== undefined) {
      await writeFile(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`)
    }
    if (values.results) {
      const earlier = await Promise.all(values.add.map(rowsOf))
      const all = [...rows, ...earlier.flat()]
      await writeFile(
        resultsFile,
        fleetPage(all, pushes, { quick, earlier: earlier.length > 0 }, facts),
      )
    }
    return 0
  } finally {
    if (values.folder === undefined) await rm(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
