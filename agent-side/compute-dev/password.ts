import type { Bytes } from '../../lib/runtime/clock.ts'
import { html, NovaRefusal, type Answer } from './answer.ts'
import type { InstanceMetadata } from './instance-metadata.ts'

/** Four values of 255 characters is what Nova stores. @see nova/api/metadata/password.py */
export const longestPassword: Bytes = 1020

export interface PasswordRequest {
  readonly method: string
  readonly contentLength: number | undefined
  readBody(): Promise<Uint8Array>
  store(password: string): void
}

const tooLarge = 'Request is too large.'

function decoded(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw new NovaRefusal(500, 'The password is not UTF-8.')
  }
}

/**
 * `GET` gives the password a guest has posted, `POST` stores it once. The conflict is judged by the metadata as it was
 * cached, so within the cache's lifetime a second `POST` may pass, as in Nova.
 * @throws {NovaRefusal}
 */
export async function handlePassword(
  request: PasswordRequest,
  metadata: InstanceMetadata,
): Promise<Answer> {
  if (request.method === 'GET') return { status: 200, contentType: html, body: metadata.password }
  if (request.method !== 'POST') throw new NovaRefusal(400, 'GET and POST only are supported.')
  if (metadata.password !== '') {
    throw new NovaRefusal(409, 'There was a conflict when trying to complete your request.')
  }
  // Nova compares the absent number and fails.
  if (request.contentLength === undefined) throw new NovaRefusal(500, 'Content-Length is missing.')
  if (request.contentLength > longestPassword) throw new NovaRefusal(400, tooLarge)
  const body = await request.readBody()
  if (body.length > longestPassword) throw new NovaRefusal(400, tooLarge)
  request.store(decoded(body))
  return { status: 200, contentType: html, body: '' }
}
