import type { IncomingMessage } from 'node:http'
import type { Bytes } from '../lib/clock.ts'
import { MetadataError } from '../lib/errors.ts'
import type { RequestBody } from './compute/exchange.ts'

function tooLarge(limit: Bytes): MetadataError {
  return new MetadataError('body_too_large', 'Cannot forward: the body is too large', {
    details: { limit },
  })
}

/** Leaves the connection open when it is left early: the answer still has to go back on it. */
function contentOf(request: IncomingMessage): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => request.iterator({ destroyOnReturn: false }),
  }
}

async function collected(request: IncomingMessage, limit: Bytes): Promise<RequestBody | undefined> {
  const chunks: Uint8Array[] = []
  let length: Bytes = 0
  for await (const chunk of contentOf(request)) {
    length += chunk.length
    if (length > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  if (length === 0) return undefined
  return {
    length,
    content: (async function* content() {
      yield* chunks
    })(),
  }
}

/**
 * The body of a request as compute gets it. One of known length is streamed; one that comes in chunks is read first, since not
 * every WSGI server reads chunks. Node's parser has refused requests whose length is given in two ways.
 * @throws {MetadataError} body_too_large
 */
export function requestBody(
  request: IncomingMessage,
  limit: Bytes,
): RequestBody | undefined | Promise<RequestBody | undefined> {
  if (request.headers['transfer-encoding'] !== undefined) return collected(request, limit)
  const length = Number(request.headers['content-length'] ?? 0)
  if (length === 0) return undefined
  if (length > limit) throw tooLarge(limit)
  return { length, content: contentOf(request) }
}
