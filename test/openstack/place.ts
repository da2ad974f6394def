/** Where is this OpenStack? One folder with free TCP ports of its own, so that several fit on one machine. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const tcpPortNames = [
  'mariadb',
  'rabbitmq',
  'erlangMapper',
  'erlangNode',
  'keystone',
  'neutron',
  'neutronKeystone',
  'neutronOvn',
  'novaUwsgi',
  'novaEventlet',
  'southbound',
] as const
type TcpPortName = (typeof tcpPortNames)[number]

/** The folder of one OpenStack, and what never changes in it. */
export interface Place {
  readonly folder: string
  readonly tcpPorts: Readonly<Record<TcpPortName, number>>
  /** Nova's `metadata_proxy_shared_secret`. */
  readonly sharedSecret: string
  /** Of everybody who has to log in. */
  readonly password: string
}

/** The folder that holds package.json, from the sources and from the build alike. */
export const projectRoot = ((): string => {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

/** A file that is no program of ours: scripts for the Python of the packages. */
export function scriptPath(name: string): string {
  return join(projectRoot, 'test', 'openstack', 'scripts', name)
}

/** As many as are wanted, none of which anybody listens on now. */
export async function freeTcpPorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const tcpPorts = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) {
    server.close()
    await once(server, 'close')
  }
  return tcpPorts
}

const placeFile = 'place.json'

/** Makes the folder, or takes over the one that `OVERLAPD_OPENSTACK_DIR` names. */
export async function makePlace(named = process.env['OVERLAPD_OPENSTACK_DIR']): Promise<Place> {
  if (named !== undefined && existsSync(join(named, placeFile))) return placeIn(named)
  const folder = named ?? mkdtempSync(join(tmpdir(), 'ovt-openstack-'))
  mkdirSync(folder, { recursive: true })
  // Other users than root have to reach sockets in it.
  chmodSync(folder, 0o755)
  for (const name of ['etc', 'log', 'daemons', 'state']) mkdirSync(join(folder, name))
  const numbers = await freeTcpPorts(tcpPortNames.length)
  const tcpPorts = Object.fromEntries(
    tcpPortNames.map((name, index) => [name, numbers[index] ?? 0]),
  ) as Record<TcpPortName, number>
  const place = { folder, tcpPorts, sharedSecret: 'shared-s3cret', password: 'passw0rd' }
  writeFileSync(join(folder, placeFile), JSON.stringify(place))
  return place
}

/** @throws Error where no OpenStack was made in the folder */
export function placeIn(folder: string): Place {
  return JSON.parse(readFileSync(join(folder, placeFile), 'utf8')) as Place
}

/** `http://127.0.0.1:9696`, for a server of this OpenStack. */
export function urlOf(place: Place, name: TcpPortName): string {
  return `http://127.0.0.1:${place.tcpPorts[name]}`
}

/** Sections and options as oslo.config reads them. */
export type IniDocument = Readonly<
  Record<string, Readonly<Record<string, string | number | boolean>>>
>

/** Writes `etc/NAME` and gives its path. */
export function writeIni(place: Place, name: string, document: IniDocument): string {
  const path = join(place.folder, 'etc', name)
  mkdirSync(dirname(path), { recursive: true })
  const text = Object.entries(document)
    .map(([section, options]) => {
      const lines = Object.entries(options).map(([option, value]) => `${option} = ${value}\n`)
      return `[${section}]\n${lines.join('')}`
    })
    .join('\n')
  writeFileSync(path, text)
  return path
}
