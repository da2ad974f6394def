import { randomBytes } from 'node:crypto'
import type { EpochMilliseconds } from '../../lib/runtime/clock.ts'
import { json, notFound, plainText, pythonJson, type Answer } from './answer.ts'
import type { InstanceMetadata } from './instance-metadata.ts'

/** The versions, oldest first, as in Nova 2025.1. @see nova/api/metadata/base.py OPENSTACK_VERSIONS */
export const openstackVersions = [
  '2012-08-10',
  '2013-04-04',
  '2013-10-17',
  '2015-10-15',
  '2016-06-30',
  '2016-10-06',
  '2017-02-22',
  '2018-08-27',
  '2020-10-14',
  '2025-04-04',
] as const
export type OpenstackVersion = (typeof openstackVersions)[number]

/** Whether a version has what came with another one. */
export function isSince(version: OpenstackVersion, first: OpenstackVersion): boolean {
  return openstackVersions.indexOf(version) >= openstackVersions.indexOf(first)
}

/** Version names, one a line; those of the future are left out, though they are served. */
export function openstackVersionList(now: EpochMilliseconds): Answer {
  const today = new Date(now).toISOString().slice(0, 10)
  const listed = openstackVersions.filter((version) => version <= today)
  return { status: 200, contentType: plainText, body: [...listed, 'latest'].join('\n') }
}

type Device = InstanceMetadata['entry']['devices'][number]

function devicesOf(devices: readonly Device[], version: OpenstackVersion): readonly unknown[] {
  return devices.flatMap<Record<string, unknown>>((device) => {
    if (device['type'] === 'share') return isSince(version, '2025-04-04') ? [device] : []
    if (device['type'] !== 'nic') return [device]
    const { vlan, vf_trusted: trusted, ...rest } = device
    const shown = {
      ...(isSince(version, '2018-08-27') && { vf_trusted: trusted ?? false }),
      ...rest,
      ...(vlan !== undefined && isSince(version, '2017-02-22') && { vlan }),
    }
    // Before Rocky a card was only listed for its tags or its VLAN.
    const isListed = isSince(version, '2018-08-27') || 'tags' in shown || 'vlan' in shown
    return isListed ? [shown] : []
  })
}

function metaData(metadata: InstanceMetadata, version: OpenstackVersion): Answer {
  const { entry } = metadata
  const { key } = entry
  const document = {
    uuid: metadata.uuid,
    ...(entry.meta !== undefined && { meta: entry.meta }),
    ...(key !== undefined && { public_keys: { [key.name]: key.data }, keys: [key] }),
    hostname: metadata.hostname,
    name: metadata.name,
    launch_index: entry.launch_index,
    availability_zone: entry.availability_zone,
    ...(isSince(version, '2013-04-04') && { random_seed: randomBytes(512).toString('base64') }),
    ...(isSince(version, '2015-10-15') && { project_id: metadata.projectId }),
    ...(isSince(version, '2016-06-30') && { devices: devicesOf(entry.devices, version) }),
    ...(isSince(version, '2020-10-14') && {
      dedicated_cpus: entry.dedicated_cpus.toSorted((one, other) => one - other),
    }),
  }
  return { status: 200, contentType: json, body: pythonJson(document) }
}

function fileList(metadata: InstanceMetadata, version: OpenstackVersion): Answer {
  const files = [
    'meta_data.json',
    ...(metadata.userData === undefined ? [] : ['user_data']),
    ...(isSince(version, '2013-04-04') ? ['password'] : []),
    ...(isSince(version, '2013-10-17') ? ['vendor_data.json'] : []),
    ...(isSince(version, '2015-10-15') ? ['network_data.json'] : []),
    ...(isSince(version, '2016-10-06') ? ['vendor_data2.json'] : []),
  ]
  return { status: 200, contentType: plainText, body: files.join('\n') }
}

/** `password` needs the whole request, so it is only recognised here. */
export type OpenstackItem = Answer | 'password'

/**
 * Answers from the OpenStack tree.
 * @param names the path below `/openstack`, version first
 * @throws {Refusal} 404 for what is not there
 */
export function openstackItem(names: readonly string[], metadata: InstanceMetadata): OpenstackItem {
  const [versionName, file = 'version', ...rest] = names
  const version =
    versionName === 'latest'
      ? openstackVersions.at(-1)
      : openstackVersions.find((v) => v === versionName)
  if (version === undefined || rest.length > 0) throw notFound()
  switch (file) {
    case 'version':
      return fileList(metadata, version)
    case 'meta_data.json':
      return metaData(metadata, version)
    case 'user_data':
      if (metadata.userData === undefined) throw notFound()
      return { status: 200, contentType: plainText, body: metadata.userData }
    // Plain text, and there in every version: neither is what one would expect, both are what guests get.
    case 'network_data.json':
      return { status: 200, contentType: plainText, body: pythonJson(metadata.networkData) }
    case 'vendor_data.json':
      if (metadata.vendorData === undefined || !isSince(version, '2013-10-17')) throw notFound()
      return { status: 200, contentType: json, body: pythonJson(metadata.vendorData) }
    case 'vendor_data2.json':
      if (!isSince(version, '2016-10-06')) throw notFound()
      return { status: 200, contentType: json, body: pythonJson(metadata.vendorData2) }
    case 'password':
      if (!isSince(version, '2013-04-04')) throw notFound()
      return 'password'
    default:
      throw notFound()
  }
}
