import { isIpv6 } from '../../lib/identity/ip-address.ts'
import { notFound, plainText, type Answer } from './answer.ts'
import type { InstanceMetadata } from './instance-metadata.ts'

/** The versions, oldest first; a newer one has everything of those before. */
export const ec2Versions = [
  '1.0',
  '2007-01-19',
  '2007-03-01',
  '2007-08-29',
  '2007-10-10',
  '2007-12-15',
  '2008-02-01',
  '2008-09-01',
  '2009-04-04',
] as const
type Ec2Version = (typeof ec2Versions)[number]

/** A directory or a leaf. Maps, so that no name of a guest's meets a property of objects. */
type Node = string | Uint8Array | Directory
interface Directory {
  readonly children: ReadonlyMap<string, Node>
  /** What the parent's listing shows in place of `name/`. */
  readonly listedAs?: string
  /** Found, but not listed. */
  readonly hidden?: ReadonlyMap<string, Node>
}

function directory(children: Readonly<Record<string, Node | undefined>>): Directory {
  const present = Object.entries(children).filter(
    (entry): entry is [string, Node] => entry[1] !== undefined,
  )
  return { children: new Map(present) }
}

function isDirectory(node: Node): node is Directory {
  return typeof node === 'object' && !(node instanceof Uint8Array)
}

/** Names sorted by code point as Python does, directories with a slash, no newline at the end. */
function listing(node: Directory): string {
  return [...node.children]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, child]) => (isDirectory(child) ? (child.listedAs ?? `${name}/`) : name))
    .join('\n')
}

function blockDevices({ entry }: InstanceMetadata): Directory {
  if (entry.root_device === null) {
    return directory({ ami: 'sda1', ephemeral0: 'sda2', root: '/dev/sda1', swap: 'sda3' })
  }
  const ami = entry.root_device.replace(/^\/dev\//, '')
  return directory({ ami, root: entry.root_device, ...entry.block_devices })
}

function publicKeys({ entry }: InstanceMetadata): Directory | undefined {
  if (entry.key === undefined) return undefined
  const listedAs = `0=${entry.key.name}`
  const first: Directory = {
    children: new Map([['openssh-key', entry.key.data]]),
    listedAs,
    hidden: new Map([['_name', listedAs]]),
  }
  return directory({ '0': first })
}

function metaData(
  metadata: InstanceMetadata,
  version: Ec2Version,
  forwardedFor: string | undefined,
): Directory {
  const { entry, hostname } = metadata
  function since(first: Ec2Version, node: Node | undefined): Node | undefined {
    return ec2Versions.indexOf(version) >= ec2Versions.indexOf(first) ? node : undefined
  }
  const localIpv4 = metadata.fixedIps.find((fixedIp) => !isIpv6(fixedIp))
  return directory({
    'ami-id': entry.ami_id ?? 'None',
    'ami-launch-index': String(entry.launch_index),
    'ami-manifest-path': 'FIXME',
    hostname,
    'instance-id': metadata.ec2Id,
    'local-ipv4': localIpv4 ?? forwardedFor ?? 'None',
    'public-keys': publicKeys(metadata),
    'reservation-id': metadata.reservationId,
    'security-groups': entry.security_groups.join('\n'),
    'local-hostname': since('2007-01-19', hostname),
    'public-hostname': since('2007-01-19', hostname),
    'public-ipv4': since('2007-01-19', entry.floating_ips.find((ip) => !isIpv6(ip)) ?? ''),
    'instance-type': since('2007-08-29', entry.flavor),
    'block-device-mapping': since('2007-12-15', blockDevices(metadata)),
    'kernel-id': since('2007-12-15', entry.kernel_id),
    'ramdisk-id': since('2007-12-15', entry.ramdisk_id),
    placement: since(
      '2008-02-01',
      directory({ 'availability-zone': entry.availability_zone ?? 'None' }),
    ),
    'instance-action': since('2008-09-01', 'none'),
  })
}

/** Version names, one a line. */
export function ec2VersionList(): Answer {
  return { status: 200, contentType: plainText, body: [...ec2Versions, 'latest'].join('\n') }
}

/**
 * Answers from the EC2 tree.
 * @param names the path below `/ec2`, version first
 * @throws {Refusal} 404 for what is not there
 */
export function ec2Item(
  names: readonly string[],
  metadata: InstanceMetadata,
  forwardedFor: string | undefined,
): Answer {
  const [versionName, ...rest] = names
  const version =
    versionName === 'latest' ? ec2Versions.at(-1) : ec2Versions.find((v) => v === versionName)
  if (version === undefined) throw notFound()
  let node: Node = directory({
    'meta-data': metaData(metadata, version, forwardedFor),
    'user-data': metadata.userData,
  })
  for (const name of rest) {
    const child: Node | undefined = isDirectory(node)
      ? (node.children.get(name) ?? node.hidden?.get(name))
      : undefined
    if (child === undefined) throw notFound()
    node = child
  }
  return { status: 200, contentType: plainText, body: isDirectory(node) ? listing(node) : node }
}
