import { readFileSync } from 'node:fs'
import t from 'tap'
import { encodeReply } from '../../../../support/oslo-reply.ts'
import {
  decodeMessage,
  encodeRequest,
} from '../../../../../agent-side/ports/neutron-rpc/bus/oslo-envelope.ts'

const fixtures = new URL('../../../../fixtures/neutron-rpc/', import.meta.url)
const fixture = (name: string): Buffer => readFileSync(new URL(name, fixtures))
const time = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678))

function opened(content: Buffer): Record<string, unknown> {
  const envelope = JSON.parse(content.toString()) as Record<string, string>
  t.equal(envelope['oslo.version'], '2.0')
  return JSON.parse(envelope['oslo.message'] ?? '') as Record<string, unknown>
}

t.test('encodeRequest() writes a call of an administrator', async (t) => {
  const request = { method: 'get_ports', args: { filters: { id: ['x'] } }, version: '1.0' }
  const message = opened(encodeRequest(request, time, { messageId: 'm1', queue: 'reply_1' }))
  t.match(message, {
    method: 'get_ports',
    args: { filters: { id: ['x'] } },
    version: '1.0',
    _msg_id: 'm1',
    _reply_q: 'reply_1',
    _timeout: null,
    _unique_id: /^[0-9a-f]{32}$/,
    _context_is_admin: true,
    _context_user_id: null,
    _context_project_id: null,
    _context_roles: [],
    _context_timestamp: '2026-01-02 03:04:05.678',
    _context_request_id: /^req-/,
  })
  t.notOk('namespace' in message)
})

t.test('encodeRequest() has all fields of context that a server of Neutron writes', async (t) => {
  const theirs = Object.keys(opened(fixture('push-updated.json')))
  const ours = Object.keys(opened(encodeRequest({ method: 'm', args: {}, version: '1.0' }, time)))
  t.strictSame(
    theirs.filter((key) => !ours.includes(key)),
    [],
  )
  t.notOk(ours.includes('_msg_id'), 'a cast asks for no answer')
})

t.test('decodeMessage() reads the answers of a real server', async (t) => {
  const ports = decodeMessage(fixture('reply-get-ports.json'))
  t.match(ports, { kind: 'reply', messageId: /^[0-9a-f]{32}$/, ending: true })
  t.ok(ports.kind === 'reply' && Array.isArray(ports.result) && ports.failure === undefined)

  const failure = decodeMessage(fixture('reply-failure.json'))
  t.match(failure, {
    kind: 'reply',
    result: null,
    ending: true,
    failure: { className: 'NoSuchMethod', message: /nonsense/ },
  })

  t.match(decodeMessage(fixture('push-deleted.json')), {
    kind: 'request',
    method: 'push',
    args: { event_type: 'deleted' },
  })
})

t.test('decodeMessage() reads what encodeReply() and encodeRequest() write', async (t) => {
  t.strictSame(decodeMessage(encodeReply('m', { result: [1] })), {
    kind: 'reply',
    messageId: 'm',
    result: [1],
    ending: true,
  })
  t.strictSame(decodeMessage(encodeReply('m', { ending: false })), {
    kind: 'reply',
    messageId: 'm',
    result: null,
    ending: false,
  })
  const request = { method: 'push', args: { a: 1 }, version: '1.1' }
  const reply = { messageId: 'm', queue: 'q' }
  t.strictSame(decodeMessage(encodeRequest(request, time, reply)), {
    kind: 'request',
    method: 'push',
    args: { a: 1 },
    messageId: 'm',
    replyQueue: 'q',
  })
})

t.test('decodeMessage() reads a message without envelope', async (t) => {
  const content = Buffer.from(JSON.stringify({ method: 'push', args: {} }))
  t.strictSame(decodeMessage(content), { kind: 'request', method: 'push', args: {} })
})

t.test('decodeMessage() refuses everything else', async (t) => {
  const broken = [
    '',
    '{',
    '[]',
    'null',
    '"text"',
    '{}',
    '{"oslo.version":"3.0","oslo.message":"{}"}',
    '{"oslo.version":"2.0","oslo.message":{}}',
    '{"oslo.version":"2.0","oslo.message":"{"}',
    '{"oslo.version":"2.0","oslo.message":"[]"}',
    '{"oslo.version":"2.0","oslo.message":"{\\"_msg_id\\":5}"}',
    '{"oslo.version":"2.0","oslo.message":"{\\"_msg_id\\":\\"m\\",\\"failure\\":\\"{\\"}"}',
    fixture('reply-get-ports.json').toString().slice(0, 500),
  ]
  for (const text of broken) {
    t.throws(() => decodeMessage(Buffer.from(text)), { code: 'directory_unavailable' }, text)
  }
})
