import type { IncomingHttpHeaders } from 'node:http'
import type { InstanceId } from '../../lib/identity/ids.ts'
import type { Secret } from '../../lib/runtime/secret.ts'
import { verifyInstanceId } from '../../lib/wire/signature.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import { notFound, NovaRefusal } from './answer.ts'

/** WSGI joins what is repeated; joined values never carry a right signature. */
function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

/**
 * The instance a request is for, with Nova's checks in Nova's order.
 * @param find what is known of an instance, or `undefined`
 * @throws {NovaRefusal} 400 for the first missing header, 403 for a wrong signature, 404 for an unknown instance or another project
 * @see nova/api/metadata/handler.py _handle_instance_id_request
 */
export function identify<Known extends { readonly projectId: string }>(
  headers: IncomingHttpHeaders,
  secret: Secret,
  find: (instanceId: InstanceId) => Known | undefined,
): Known {
  const instanceId = headerOf(headers, wireHeaders.instanceId)
  const signature = headerOf(headers, wireHeaders.instanceIdSignature)
  const projectId = headerOf(headers, wireHeaders.tenantId)
  if (instanceId === undefined) throw missing('X-Instance-ID')
  if (signature === undefined) throw missing('X-Instance-ID-Signature')
  if (projectId === undefined) throw missing('X-Tenant-ID')
  if (!verifyInstanceId(secret, instanceId, signature)) {
    throw new NovaRefusal(403, 'Invalid proxy request signature.')
  }
  // The signature is right, so whoever holds the secret chose the text.
  const known = find(instanceId as InstanceId)
  if (known === undefined || known.projectId !== projectId) throw notFound()
  return known
}

function missing(name: string): NovaRefusal {
  return new NovaRefusal(400, `${name} header is missing from request.`)
}
