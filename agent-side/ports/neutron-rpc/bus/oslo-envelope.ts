import { randomUUID } from 'node:crypto'
import { brokenAnswer, type JsonObject } from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'

/** A request to a Neutron server. */
export interface RpcRequest {
  readonly method: string
  readonly args: JsonObject
  /** The lowest version of the interface that has the method: `1.0`. */
  readonly version: string
}

/** Where the answer goes; a request without one is a cast. */
export interface ReplyAddress {
  readonly messageId: string
  readonly queue: string
}

/** What arrived in a queue, without its envelope. */
export type OsloMessage =
  | {
      readonly kind: 'reply'
      readonly messageId: string
      readonly result: unknown
      readonly failure?: RemoteFailure
      /** False when more follows: a sign of life, or the older way of answering in two messages. */
      readonly ending: boolean
    }
  | {
      readonly kind: 'request'
      readonly method: string
      readonly args: JsonObject
      readonly messageId?: string
      readonly replyQueue?: string
    }

/** An exception of the server, by the name of its Python class. */
export interface RemoteFailure {
  readonly className: string
  readonly message: string
}

const versionKey = 'oslo.version'
const messageKey = 'oslo.message'

/** 32 hex digits, as Python's `uuid4().hex`. */
export function hexId(): string {
  return randomUUID().replaceAll('-', '')
}

/**
 * The caller as Neutron's servers read it: an administrator who belongs to no project, as Neutron's agents claim
 * of themselves. The broker's credentials are what is checked.
 * @see neutron_lib/context.py, get_admin_context_without_session
 */
function adminContext(time: Date): JsonObject {
  const fields = {
    user: null,
    user_id: null,
    user_name: null,
    user_domain: null,
    user_identity: '- - - - -',
    tenant_id: null,
    tenant_name: null,
    project: null,
    project_id: null,
    project_name: null,
    project_domain: null,
    domain: null,
    system_scope: null,
    is_admin: true,
    is_admin_project: true,
    read_only: false,
    show_deleted: false,
    auth_token: null,
    request_id: `req-${randomUUID()}`,
    global_request_id: null,
    resource_uuid: null,
    roles: [],
    timestamp: time.toISOString().replace('T', ' ').replace('Z', ''),
  }
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [`_context_${key}`, value]),
  )
}

function sealed(message: JsonObject): Buffer {
  const envelope = { [versionKey]: '2.0', [messageKey]: JSON.stringify(message) }
  return Buffer.from(JSON.stringify(envelope))
}

/**
 * Writes a request in oslo.messaging's envelope 2.0: JSON that holds the message as a string of JSON. Without a namespace,
 * as all of Neutron's agent interfaces are.
 * @see oslo_messaging/_drivers/common.py serialize_msg, _drivers/amqp.py pack_context
 */
export function encodeRequest(request: RpcRequest, time: Date, reply?: ReplyAddress): Buffer {
  return sealed({
    method: request.method,
    args: request.args,
    version: request.version,
    _unique_id: hexId(),
    ...(reply && { _msg_id: reply.messageId, _reply_q: reply.queue, _timeout: null }),
    ...adminContext(time),
  })
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw brokenAnswer(`${what} is not JSON`, cause)
  }
}

function opened(content: Buffer): JsonObject {
  const outer = parseJson(content.toString('utf8'), 'a message')
  if (!isMapping(outer)) throw brokenAnswer('a message is not an object')
  const { [versionKey]: version, [messageKey]: inner } = outer
  // A message without envelope is how oslo.messaging 1.0 wrote.
  if (version === undefined && inner === undefined) return outer
  if (typeof version !== 'string' || !version.startsWith('2.') || typeof inner !== 'string') {
    throw brokenAnswer('the envelope of a message is not of version 2')
  }
  const message = parseJson(inner, 'the content of a message')
  if (!isMapping(message)) throw brokenAnswer('the content of a message is not an object')
  return message
}

function parseFailure(value: unknown): RemoteFailure {
  const failure = typeof value === 'string' ? parseJson(value, 'a failure') : value
  const { class: className, message } = isMapping(failure) ? failure : {}
  return {
    className: typeof className === 'string' ? className.slice(0, 100) : 'unknown',
    message: typeof message === 'string' ? message.slice(0, 500) : '',
  }
}

/**
 * Reads what arrived in a queue.
 * @throws MetadataError `directory_unavailable` when it is no message of oslo.messaging
 */
export function decodeMessage(content: Buffer): OsloMessage {
  const message = opened(content)
  const { method, args, _msg_id: messageId, _reply_q: replyQueue } = message
  if (typeof method === 'string') {
    return {
      kind: 'request',
      method,
      args: isMapping(args) ? args : {},
      ...(typeof messageId === 'string' && { messageId }),
      ...(typeof replyQueue === 'string' && { replyQueue }),
    }
  }
  if (typeof messageId !== 'string') throw brokenAnswer('a message is neither request nor reply')
  const { failure } = message
  const failed = failure !== null && failure !== undefined && failure !== ''
  return {
    kind: 'reply',
    messageId,
    result: message['result'] ?? null,
    ...(failed && { failure: parseFailure(failure) }),
    ending: message['ending'] === true,
  }
}
