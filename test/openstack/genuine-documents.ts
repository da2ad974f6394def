/** What does Nova itself say about an instance? */
import { strict as assert } from 'node:assert'
import { Secret } from '../../lib/runtime/secret.ts'
import { parseInstanceId } from '../../lib/identity/ids.ts'
import { signInstanceId } from '../../lib/wire/signature.ts'
import { urlOf, type Place } from './place.ts'
import type { NovaInstance, NovaServer } from './services/nova.ts'

/** Documents of both trees that tell instances apart. */
export const documentPaths = [
  '/openstack/latest/meta_data.json',
  '/openstack/latest/network_data.json',
  '/openstack/latest/user_data',
  '/openstack/latest/vendor_data.json',
  '/latest/meta-data/instance-id',
  '/latest/meta-data/local-ipv4',
  '/latest/user-data',
] as const

/** The headers with which an agent speaks for an instance. */
export function agentHeaders(
  secret: string,
  instance: { readonly id: string; readonly projectId: string },
  sourceIp: string,
): Record<string, string> {
  const id = parseInstanceId(instance.id)
  assert.ok(id)
  return {
    'x-instance-id': instance.id,
    'x-tenant-id': instance.projectId,
    'x-instance-id-signature': signInstanceId(new Secret(secret), id),
    'x-forwarded-for': sourceIp,
  }
}

/** A document without what is drawn at random each time. */
export function comparable(path: string, body: string): string {
  if (!path.includes('/meta_data.json')) return body
  const document = JSON.parse(body) as Record<string, unknown>
  // Versions before 2013-04-04 have none.
  if ('random_seed' in document) document['random_seed'] = typeof document['random_seed']
  return JSON.stringify(document)
}

/** Every document of an instance, asked of Nova directly. */
export async function genuineDocuments(
  place: Place,
  instance: NovaInstance,
  server: NovaServer = 'novaUwsgi',
): Promise<ReadonlyMap<string, string>> {
  const documents = new Map<string, string>()
  for (const path of documentPaths) {
    const headers = agentHeaders(place.sharedSecret, instance, instance.port.ip)
    const answer = await fetch(`${urlOf(place, server)}${path}`, { headers })
    assert.equal(answer.status, 200, `Nova serves ${path}`)
    documents.set(path, comparable(path, await answer.text()))
  }
  return documents
}
