import type { IncomingHttpHeaders } from 'node:http'
import type { EpochMilliseconds } from '../../lib/runtime/clock.ts'
import type { Secret } from '../../lib/runtime/secret.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Answer } from './answer.ts'
import { ec2Item, ec2VersionList } from './ec2-tree.ts'
import { identify } from './identify.ts'
import type { InstanceStore } from './instance-store.ts'
import { openstackItem, openstackVersionList } from './openstack-tree.ts'
import { handlePassword } from './password.ts'

export interface MetadataRequest {
  readonly method: string
  readonly names: readonly string[]
  readonly headers: IncomingHttpHeaders
  readonly now: EpochMilliseconds
  readBody(): Promise<Uint8Array>
}

function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['content-length']
  return text === undefined ? undefined : Number(text)
}

/**
 * Answers one request as Nova's handler does: `/` without identification, then who, then what. The method counts for `password` only.
 * @throws {NovaRefusal}
 * @see nova/api/metadata/handler.py MetadataRequestHandler
 */
export async function handleMetadata(
  request: MetadataRequest,
  instances: InstanceStore,
  secret: Secret,
): Promise<Answer> {
  const { headers, names } = request
  if (names.length === 0) return ec2VersionList()
  const metadata = identify(headers, secret, (instanceId) => instances.find(instanceId))
  const [tree, ...below] = names
  if (tree === 'openstack') {
    if (below.length === 0) return openstackVersionList(request.now)
    const item = openstackItem(below, metadata)
    if (item !== 'password') return item
    const post = {
      method: request.method,
      contentLength: contentLength(headers),
      readBody: () => request.readBody(),
      store: (password: string) => instances.storePassword(metadata.uuid, password),
    }
    return handlePassword(post, metadata)
  }
  if (tree === 'ec2' && below.length === 0) return ec2VersionList()
  const forwardedFor = headers[wireHeaders.forwardedFor]
  const address = Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor
  return ec2Item(tree === 'ec2' ? below : names, metadata, address)
}
