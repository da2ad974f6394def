import type { IncomingMessage } from 'node:http'
import type { Bytes } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'

function tooLarge(limit: Bytes): MetadataError {
  return new MetadataError('body_too_large', 'Cannot forward: the body is too large', {
    details: { limit },
  })
}

async function collected(request: IncomingMessage, limit: Bytes): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length: Bytes = 0
  // The connection stays open when this is left early: the answer still has to go back on it.
  const content: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false })
  for await (const chunk of content) {
    length += chunk.length
    if (length > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  return length === 0 ? undefined : Buffer.concat(chunks)
}

/**
 * The body of a request as compute gets it, whole: no slot of compute waits for a guest that sends slowly, and not every WSGI
 * server reads chunks. Node's parser has refused requests whose length is given in two ways.
 * @throws {MetadataError} body_too_large
 */
export function requestBody(
  request: IncomingMessage,
  limit: Bytes,
): undefined | Promise<Uint8Array | undefined> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > limit) throw tooLarge(limit)
  const hasBody = length > 0 || request.headers['transfer-encoding'] !== undefined
  return hasBody ? collected(request, limit) : undefined
}
