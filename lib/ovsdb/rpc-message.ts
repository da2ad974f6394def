import type { Bytes } from '../runtime/clock.ts'
import type { JsonText } from './json-stream.ts'
import { OvsdbError } from './ovsdb-error.ts'

/** A member of a message that was too long to be parsed on the spot. */
export class LongJson {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

/** What JSON-RPC 1.0 knows (RFC 7047 §4). `result` and `params` may be {@link LongJson}. */
export type JsonRpcMessage =
  | {
      readonly kind: 'request'
      readonly method: string
      readonly params: unknown
      readonly id: unknown
    }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | {
      readonly kind: 'reply'
      readonly id: unknown
      readonly result: unknown
      readonly error: unknown
    }

/** A value below this length is parsed at once; that takes less than a few milliseconds. */
const longFrom: Bytes = 256 * 1024

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch (cause) {
    throw new OvsdbError('protocol', 'The message is no JSON', { cause })
  }
}

function members({ bytes, marks }: JsonText): Map<string, unknown> {
  const found = new Map<string, unknown>()
  let from = 1
  for (let index = 0; index < marks.length; index += 2) {
    const colon = marks[index] ?? 0
    const end = marks[index + 1] ?? bytes.length - 1
    const key = parse(bytes.subarray(from, colon))
    const value = bytes.subarray(colon + 1, end)
    const isLong = value.length >= longFrom && (key === 'result' || key === 'params')
    if (typeof key !== 'string') throw new OvsdbError('protocol', 'The message is no JSON')
    found.set(key, isLong ? new LongJson(value) : parse(value))
    from = end + 1
  }
  return found
}

/** @throws OvsdbError `protocol` when the text is no JSON-RPC message */
export function readRpcMessage(text: JsonText): JsonRpcMessage {
  const found = text.bytes.length < longFrom ? parsedMembers(text) : members(text)
  const method = found.get('method')
  const id = found.get('id') ?? null
  if (typeof method === 'string') {
    const params = found.get('params')
    return id === null
      ? { kind: 'notification', method, params }
      : { kind: 'request', method, params, id }
  }
  if (method !== undefined || id === null || !(found.has('result') || found.has('error'))) {
    throw new OvsdbError('protocol', 'The message is neither request nor reply')
  }
  return { kind: 'reply', id, result: found.get('result'), error: found.get('error') ?? null }
}

function parsedMembers(text: JsonText): Map<string, unknown> {
  return new Map(Object.entries(parse(text.bytes) as Record<string, unknown>))
}
