import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { run, startDaemon, untilReady } from '../daemon.ts'
import type { Place } from '../place.ts'

/** One database for each service. */
export const databases = [
  'keystone',
  'neutron',
  'neutron_ovn',
  'nova_api',
  'nova',
  'nova_cell0',
] as const

/** As SQLAlchemy wants it. */
export function databaseUrl(place: Place, database: (typeof databases)[number]): string {
  return `mysql+pymysql://openstack:${place.password}@127.0.0.1:${place.tcpPorts.mariadb}/${database}?charset=utf8`
}

async function sql(place: Place, text: string): Promise<void> {
  const socket = join(place.folder, 'mariadb.sock')
  await run('mariadb', ['--no-defaults', '-uroot', `--socket=${socket}`, '-e', text])
}

/** Starts a MariaDB that forgets nothing but does not hurry to the disk, with the databases of all services. */
export async function startMariaDb(place: Place): Promise<void> {
  const data = join(place.folder, 'mariadb')
  if (!existsSync(data)) {
    const method = ['--auth-root-authentication-method=normal', '--skip-test-db']
    await run('mariadb-install-db', [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      ...method,
    ])
  }
  startDaemon(place, {
    name: 'mariadb',
    program: '/usr/sbin/mariadbd',
    arguments: [
      '--no-defaults',
      '--user=root',
      `--datadir=${data}`,
      `--socket=${join(place.folder, 'mariadb.sock')}`,
      `--pid-file=${join(place.folder, 'state', 'mariadb.pid')}`,
      '--bind-address=127.0.0.1',
      `--port=${place.tcpPorts.mariadb}`,
      '--skip-log-bin',
      '--innodb-flush-log-at-trx-commit=0',
      '--innodb-doublewrite=0',
      '--max-connections=400',
      '--character-set-server=utf8mb3',
      '--collation-server=utf8mb3_general_ci',
    ],
  })
  await untilReady(place, 'mariadb', async () => {
    await sql(place, 'SELECT 1')
    return true
  })
  const user = `'openstack'@'127.0.0.1' IDENTIFIED BY '${place.password}'`
  await sql(
    place,
    databases
      .map((name) => `CREATE DATABASE IF NOT EXISTS ${name}; GRANT ALL ON ${name}.* TO ${user};`)
      .join('\n'),
  )
}
