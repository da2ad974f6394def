import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../agent-side/ports/directory/neutron-port.ts'

/** Writes an answer as a server of oslo.messaging does. @see oslo_messaging/_drivers/common.py serialize_msg */
export function encodeReply(
  messageId: string,
  outcome: { readonly result?: unknown; readonly failure?: JsonObject; readonly ending?: boolean },
): Buffer {
  const message = {
    result: outcome.result ?? null,
    failure: outcome.failure === undefined ? null : JSON.stringify(outcome.failure),
    ending: outcome.ending ?? true,
    _msg_id: messageId,
    _unique_id: randomUUID().replaceAll('-', ''),
  }
  const envelope = { 'oslo.version': '2.0', 'oslo.message': JSON.stringify(message) }
  return Buffer.from(JSON.stringify(envelope))
}
