import type { IncomingMessage } from 'node:http'
import type { Bytes } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import type { ComputeRequest } from '../compute/exchange.ts'
import { requestBody } from './request-body.ts'

/** Methods that have no meaning for metadata; TRACE would show a guest what the proxy adds. */
const refusedMethods: ReadonlySet<string> = new Set(['CONNECT', 'TRACE'])

/**
 * Reads what compute is to get of a request.
 * @throws {MetadataError} method_not_supported, request_target_invalid, body_too_large, and what reading a body throws
 */
export async function readComputeRequest(
  request: IncomingMessage,
  bodyLimit: Bytes,
): Promise<ComputeRequest> {
  const { method = '', url: target = '' } = request
  if (refusedMethods.has(method)) {
    throw new MetadataError('method_not_supported', `Cannot forward: method ${method}`)
  }
  // Absolute-form and `*` would make us a forward proxy to something else.
  if (!target.startsWith('/')) {
    throw new MetadataError('request_target_invalid', 'Cannot forward: the target is no path')
  }
  const body = requestBody(request, bodyLimit)
  return { method, target, body: body instanceof Promise ? await body : body }
}
