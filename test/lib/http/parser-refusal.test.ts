import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { parserRefusal } from '../../../lib/http/parser-refusal.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

/** What Node's own parser says of these bytes, as a reason code. */
async function refusalOf(t: Test, bytes: string): Promise<string | undefined> {
  const socket = `${scratchFolder(t)}/s`
  const server = createServer({ maxHeaderSize: 2_000 }, (incoming) => void incoming.resume())
  server.listen(socket)
  await once(server, 'listening')
  const client = connect(socket)
  client.on('error', () => undefined)
  client.write(bytes)
  const [error, peer] = (await once(server, 'clientError')) as [Error, { destroy(): void }]
  peer.destroy()
  client.destroy()
  server.close()
  return parserRefusal(error)
}

t.test('parserRefusal() names what Node could not read', async (t) => {
  const rows = [
    ['nonsense\r\n\r\n', 'malformed_request'],
    ['GET / HTTP/1.1\r\nhost: a\r\nbad header: x\r\n\r\n', 'malformed_request'],
    [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(3_000)}\r\n\r\n`, 'header_too_large'],
    ['POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n', 'malformed_request'],
    [
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      'ambiguous_framing',
    ],
    [
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
      'ambiguous_framing',
    ],
    [
      'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n',
      'ambiguous_framing',
    ],
  ] as const
  for (const [bytes, code] of rows)
    t.equal(await refusalOf(t, bytes), code, JSON.stringify(bytes.slice(0, 90)))
})

t.test('parserRefusal() gives nothing when no peer is there to be answered', async (t) => {
  t.equal(parserRefusal(Object.assign(new Error('x'), { code: 'ECONNRESET' })), undefined)
  t.equal(
    parserRefusal(Object.assign(new Error('x'), { code: 'HPE_INVALID_EOF_STATE' })),
    undefined,
  )
  t.equal(parserRefusal(new Error('x')), undefined)
})
