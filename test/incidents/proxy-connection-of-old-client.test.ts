// Node's parser takes Proxy-Connection for Connection: an HTTP/1.0 request with it kept its connection, and what came behind it was served.
// Right: only Connection makes a connection of HTTP/1.0 persist (RFC 9112 §9.3).
import t from 'tap'
import { get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path })
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

const cases: readonly (readonly [field: string, isKept: boolean])[] = [
  ['Proxy-Connection: keep-alive', false],
  ['Proxy-Connection: keep-alive\r\nConnection: x', false],
  ['Connection: \u00a0keep-alive', false],
  ['Connection: Keep-Alive', true],
  ['Connection: x, keep-alive', true],
  ['Connection: keep-alive\r\nProxy-Connection: keep-alive', true],
]

for (const [field, isKept] of cases) {
  t.test(`HTTP/1.0 with ${JSON.stringify(field)}`, async (t) => {
    const targets: string[] = []
    agent.answer = ({ target }) => {
      targets.push(target)
      return plainAnswer('ok')
    }
    const guest = await RawConnection.open(worker.target)
    await guest.write(`GET /first HTTP/1.0\r\nHost: a\r\n${field}\r\n\r\n`)
    await guest.write(get('/behind', 'Connection: close'))
    t.equal((await guest.answer())?.status, 200)
    if (isKept) t.equal((await guest.answer())?.status, 200)
    t.equal((await guest.rest()).length, 0)
    t.strictSame(targets, isKept ? ['/first', '/behind'] : ['/first'])
    guest.close()
  })
}
