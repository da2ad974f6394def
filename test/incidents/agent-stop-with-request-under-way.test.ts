// A POST was under way at the agent's SIGTERM: its kept-alive connection was never closed, so the stop took all of timeout_drain with the
// socket file gone. Right: each connection is closed as it becomes idle.
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { serveApp } from '../../lib/http/serve.ts'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RawConnection } from '../support/raw-http.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')

for (const request of [
  `POST /slow HTTP/1.1\r\n${lines}Content-Length: 2\r\n\r\nhi`,
  `GET /slow HTTP/1.1\r\n${lines}\r\n`,
]) {
  t.test(`the agent stops as soon as its last answer is out: ${request.slice(0, 4)}`, async (t) => {
    const asked = new EventTarget()
    let letGo = (): void => undefined
    const upstream = await RecordingUpstream.start((_request, response) => {
      letGo = () => void response.end('late')
      asked.dispatchEvent(new Event('request'))
    })
    t.teardown(() => upstream.close())
    const isAsked = once(asked, 'request')
    const { agent } = await startAgentForOneGuest(t, {
      upstreams: [upstream.url],
      config: { limits: { timeout_drain: '5m' } },
    })
    const [busy, idle] = [await agent.connect(), await agent.connect()]
    void busy.write(request)
    await isAsked
    const listener = agent.agent.parts.find(({ name }) => name.endsWith('overlapd.sock'))

    const isClosed = listener?.close()
    await idle.rest()
    letGo()

    t.equal((await busy.answer())?.body.toString(), 'late')
    await isClosed
    await busy.rest()
    t.pass('both connections have ended')
  })
}

t.test('so do the admin sockets', async (t) => {
  const socket = join(scratchFolder(t), 'admin.sock')
  let letGo: (answer: Response) => void = () => undefined
  const asked = new EventTarget()
  const serving = await serveApp({
    app: {
      fetch: () => {
        asked.dispatchEvent(new Event('request'))
        return new Promise<Response>((resolve) => (letGo = resolve))
      },
    },
    listen: [{ socket }],
    drainLimit: 300_000,
  })
  const connection = await RawConnection.over(connect(socket))
  const request = once(asked, 'request')
  void connection.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await request
  const isClosed = serving.close()
  letGo(new Response('late'))
  t.equal((await connection.answer())?.body.toString(), 'late')
  await isClosed
})
