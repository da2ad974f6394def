import t from 'tap'
import { JsonStream } from '../../../lib/ovsdb/json-stream.ts'
import { OvsdbError } from '../../../lib/ovsdb/ovsdb-error.ts'
import { readRpcMessage } from '../../../lib/ovsdb/rpc-message.ts'

const limits = { messageBytes: 10_000, depth: 8 }

const messages = [
  { method: 'echo', params: [], id: 'echo' },
  { result: { 'a"\\b': '}{][",:\\' }, error: null, id: 7 },
  { method: 'update3', params: ['x', { t: { ü: [1, '\u0000é😀', null, true] } }], id: null },
]
const wire = Buffer.from(
  ` ${JSON.stringify(messages[0])}${JSON.stringify(messages[1])}\r\n\t${JSON.stringify(messages[2], undefined, 1)}\n`,
)

function readAll(chunks: readonly Buffer[]): unknown[] {
  const stream = new JsonStream(limits)
  return chunks.flatMap((chunk) => stream.push(chunk)).map(({ bytes }) => JSON.parse(String(bytes)))
}

t.test('JsonStream finds the same messages however the stream is cut', async (t) => {
  t.strictSame(readAll([wire]), messages, 'in one piece')
  t.strictSame(readAll([...wire].map((byte) => Buffer.from([byte]))), messages, 'byte by byte')
  const wrong: number[] = []
  for (let cut = 0; cut <= wire.length; cut += 1) {
    const found = readAll([wire.subarray(0, cut), wire.subarray(cut)])
    if (JSON.stringify(found) !== JSON.stringify(messages)) wrong.push(cut)
  }
  t.strictSame(wrong, [], 'in two pieces, at every byte')
})

t.test('JsonStream marks the members of the outermost object wherever it is cut', async (t) => {
  for (let cut = 1; cut < wire.length; cut += 1) {
    const stream = new JsonStream(limits)
    const texts = [...stream.push(wire.subarray(0, cut)), ...stream.push(wire.subarray(cut))]
    const read = texts.map(({ bytes, marks }) =>
      marks.map((at) => String.fromCharCode(bytes[at] ?? 0)).join(''),
    )
    if (read.some((marks) => marks !== ':,:,:')) t.fail(`cut at ${cut}: ${read.join(' ')}`)
  }
  t.pass('every cut')
})

t.test('JsonStream refuses what cannot become a message', async (t) => {
  const refused: readonly (readonly [string, string])[] = [
    ['bare text', 'HTTP/1.1 400 Bad Request\r\n'],
    ['an array', '[1]'],
    ['a closing bracket', '}'],
    ['brackets of two kinds', '{"a":[}'],
    ['brackets without end', '{"a":'.repeat(9)],
    ['too many members', `{${'"a":1,'.repeat(40)}`],
    ['a message without end', `{"a":"${'x'.repeat(11_000)}`],
  ]
  for (const [name, text] of refused) {
    t.throws(() => new JsonStream(limits).push(Buffer.from(text)), OvsdbError, name)
  }
})

t.test('readRpcMessage() distinguishes requests, notifications and replies', async (t) => {
  const read = (value: unknown): unknown => {
    const [text] = new JsonStream(limits).push(Buffer.from(JSON.stringify(value)))
    return text && readRpcMessage(text)
  }
  t.match(read({ method: 'echo', params: [1], id: 'x' }), { kind: 'request', id: 'x' })
  t.match(read({ method: 'update', params: [1], id: null }), { kind: 'notification', params: [1] })
  t.match(read({ method: 'update', params: [1] }), { kind: 'notification' })
  t.match(read({ result: 5, id: 3 }), { kind: 'reply', id: 3, result: 5, error: null })
  t.match(read({ error: 'no', result: null, id: 3 }), { kind: 'reply', error: 'no' })
  for (const bad of [{}, { id: 1 }, { method: 3, id: 1 }, { result: 1 }, { result: 1, id: null }]) {
    t.throws(() => read(bad), OvsdbError, JSON.stringify(bad))
  }
  const [broken] = new JsonStream(limits).push(Buffer.from('{"method":}'))
  t.throws(() => broken && readRpcMessage(broken), OvsdbError, 'no JSON inside its brackets')
})
