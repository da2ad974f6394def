import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run, startDaemon, untilReady } from '../daemon.ts'
import type { Place } from '../place.ts'
import { hostName } from './host-name.ts'

type Database = 'nb' | 'sb'

function ovnFile(place: Place, name: string): string {
  return join(place.folder, 'ovn', name)
}

/** Where ovsdb-server serves one of the databases. */
export function ovnSocket(place: Place, database: Database): string {
  return ovnFile(place, `${database}.sock`)
}

/** Runs `ovn-nbctl`. */
export function nbctl(place: Place, ...words: readonly string[]): Promise<string> {
  return run('ovn-nbctl', [`--db=unix:${ovnSocket(place, 'nb')}`, '--timeout=60', ...words])
}

/** Runs `ovn-sbctl`. */
export function sbctl(place: Place, ...words: readonly string[]): Promise<string> {
  return run('ovn-sbctl', [`--db=unix:${ovnSocket(place, 'sb')}`, '--timeout=60', ...words])
}

/** Resolves once ovsdb-server serves the database. */
export async function ovnReady(place: Place, database: Database): Promise<void> {
  const name = database === 'nb' ? 'OVN_Northbound' : 'OVN_Southbound'
  await untilReady(place, `ovn-${database}`, async () => {
    const words = ['--timeout=3', 'wait', `unix:${ovnSocket(place, database)}`, name, 'connected']
    await run('ovsdb-client', words)
    return true
  })
}

/** Starts both databases and northd, and registers this machine as ovn-controller would. */
export async function startOvn(place: Place): Promise<void> {
  const folder = join(place.folder, 'ovn')
  const environment = { OVS_RUNDIR: folder, OVN_RUNDIR: folder }
  mkdirSync(folder, { recursive: true })
  for (const database of ['nb', 'sb'] as const) {
    const file = ovnFile(place, `${database}.db`)
    if (!existsSync(file)) {
      await run('ovsdb-tool', ['create', file, `/usr/share/ovn/ovn-${database}.ovsschema`])
    }
    startDaemon(place, {
      name: `ovn-${database}`,
      program: '/usr/sbin/ovsdb-server',
      arguments: [
        file,
        `--remote=punix:${ovnSocket(place, database)}`,
        `--unixctl=${ovnFile(place, `${database}.ctl`)}`,
        // Users other than root cannot open the UNIX socket.
        ...(database === 'sb' ? [`--remote=ptcp:${place.tcpPorts.southbound}:127.0.0.1`] : []),
        '--no-chdir',
        '-vconsole:warn',
      ],
      environment,
    })
    await ovnReady(place, database)
  }
  startDaemon(place, {
    name: 'ovn-northd',
    program: '/usr/bin/ovn-northd',
    arguments: [
      `--ovnnb-db=unix:${ovnSocket(place, 'nb')}`,
      `--ovnsb-db=unix:${ovnSocket(place, 'sb')}`,
      `--unixctl=${ovnFile(place, 'northd.ctl')}`,
      '-vconsole:warn',
    ],
    environment,
  })
  await nbctl(place, 'init')
  await sbctl(place, 'init')
  await registerChassis(place)
}

async function registerChassis(place: Place): Promise<void> {
  await sbctl(
    place,
    '--',
    '--may-exist',
    'chassis-add',
    hostName,
    'geneve',
    '127.0.0.1',
    '--',
    'set',
    'Chassis',
    hostName,
    `hostname=${hostName}`,
    'other_config:datapath-type=system',
    'other_config:iface-types=geneve',
    'other_config:ovn-bridge-mappings=""',
  )
  const chassis = (
    await sbctl(place, '--bare', '--columns=_uuid', 'list', 'Chassis', hostName)
  ).trim()
  await sbctl(place, 'create', 'Chassis_Private', `name=${hostName}`, `chassis=${chassis}`)
}

/** What ovn-controller does when it has applied the newest configuration; without it Neutron takes the chassis for dead. */
export async function acknowledge(place: Place): Promise<void> {
  const sequence = (await nbctl(place, 'get', 'NB_Global', '.', 'nb_cfg')).trim()
  await sbctl(
    place,
    'set',
    'Chassis_Private',
    hostName,
    `nb_cfg=${sequence}`,
    `nb_cfg_timestamp=${Date.now()}`,
  )
}

/** Binds every port of an instance to this machine, as ovn-controller does when the interface appears. */
export async function bindPorts(place: Place): Promise<void> {
  await nbctl(place, '--wait=sb', 'sync')
  const find = ['--bare', '--columns=logical_port', 'find', 'Port_Binding', 'type=""', 'chassis=[]']
  const ports = (await sbctl(place, ...find)).split('\n').filter((line) => line !== '')
  if (ports.length === 0) return
  await sbctl(place, ...ports.flatMap((port) => ['--', 'lsp-bind', port, hostName]).slice(1))
}
