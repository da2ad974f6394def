import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { requestAdmin, requestAdminJson } from '../../../lib/http/admin-client.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const socket = `${scratchFolder(t)}/a.sock`
  const server = createServer(listener).listen(socket)
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return socket
}

t.test('requestAdmin() gives status, type and body, whatever the status', async (t) => {
  const socket = await serve(t, (incoming, outgoing) => {
    outgoing
      .writeHead(503, { 'content-type': 'text/plain' })
      .end(`${incoming.method} ${incoming.url}`)
  })
  const answer = { status: 503, contentType: 'text/plain', body: 'GET /ready?x=1' }
  t.strictSame(await requestAdmin(socket, '/ready?x=1'), answer)
  t.strictSame(await requestAdmin(`unix:${socket}`, '/ready?x=1'), answer)
})

t.test('requestAdmin() reports why no daemon answered', async (t) => {
  const folder = scratchFolder(t)
  await t.rejects(requestAdmin(`${folder}/none.sock`, '/'), {
    name: 'AdminUnreachableError',
    code: 'ENOENT',
    message: `Cannot get an answer from "${folder}/none.sock": the socket does not exist; is the daemon running?`,
  })
  const closed = createTcpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as { port: number }
  closed.close()
  await once(closed, 'close')
  await t.rejects(requestAdmin(`http://127.0.0.1:${port}`, '/'), {
    code: 'ECONNREFUSED',
    message: /no daemon listens there/,
  })
})

t.test('requestAdmin() keeps to its limits of time and size', async (t) => {
  const silent = await serve(t, () => undefined)
  await t.rejects(requestAdmin(silent, '/', { timeLimit: 1 }), { message: /no answer in time/ })
  const control = new AbortController()
  const asking = requestAdmin(silent, '/', { signal: control.signal })
  control.abort()
  await t.rejects(asking, { name: 'AdminUnreachableError' })
  const endless = await serve(t, (_, outgoing) => {
    outgoing.write('x'.repeat(100))
  })
  await t.rejects(requestAdmin(endless, '/', { bodyLimit: 99 }), {
    message: /longer than 99 bytes/,
  })
})

t.test('requestAdmin() does not take half an answer for a whole one', async (t) => {
  const socket = await serve(t, (_, outgoing) => {
    outgoing.writeHead(200, { 'content-length': '10' })
    outgoing.write('half', () => outgoing.destroy())
  })
  await t.rejects(requestAdmin(socket, '/'), { name: 'AdminUnreachableError' })
})

t.test('requestAdminJson() reads JSON, and reports when it is none', async (t) => {
  const socket = await serve(t, (incoming, outgoing) => {
    outgoing.writeHead(503).end(incoming.url === '/json' ? '{"ready":false}' : '<html>')
  })
  t.strictSame(await requestAdminJson(socket, '/json'), { status: 503, value: { ready: false } })
  await t.rejects(requestAdminJson(socket, '/page'), {
    message: /the answer to \/page is not JSON/,
  })
})
