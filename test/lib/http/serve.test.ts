import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { requestAdmin } from '../../../lib/http/admin-client.ts'
import { serveAdmin, serveApp } from '../../../lib/http/serve.ts'
import { parseIpAddress } from '../../../lib/identity/ip-address.ts'
import { leaveSocketFile } from '../../support/left-socket-file.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const app = {
  fetch: (request: Request) => new Response(`you asked ${new URL(request.url).pathname}\n`),
}

t.test('serveApp() answers on a UNIX socket of the mode requested, and on TCP', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({
    app,
    listen: [
      { socket, mode: 0o660 },
      { host: '127.0.0.1', tcpPort: 0 },
    ],
  })
  t.teardown(() => serving.close())
  t.equal(statSync(socket).mode & 0o777, 0o660)
  t.match(serving.addresses, [socket, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/])
  for (const address of serving.addresses) {
    t.match(await requestAdmin(address, '/x'), { status: 200, body: 'you asked /x\n' })
  }
})

t.test('serveApp() gives a reason where node:http would refuse without one', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.teardown(() => serving.close())
  for (const [text, status, reason] of [
    ['GET / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n', 417, 'expectation_failed'],
    ['GET / HTTP/1.1\r\nHost a\r\n\r\n', 400, 'malformed_request'],
  ] as const) {
    const asking = connect(socket)
    asking.write(text)
    let answer = ''
    for await (const chunk of asking.setEncoding('utf8')) answer += String(chunk)
    t.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
    t.match(answer.toLowerCase(), `x-overlapd-reason: ${reason}`)
  }
})

t.test('serveApp() keeps a socket to its owner unless configured otherwise', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.equal(statSync(socket).mode & 0o777, 0o600)
  await serving.close()
  await serving.close()
  t.equal(existsSync(socket), false)
})

t.test(
  'serveApp() refuses a socket on which another process answers, and listens nowhere then',
  async (t) => {
    const folder = scratchFolder(t)
    const socket = `${folder}/admin.sock`
    const serving = await serveApp({ app, listen: [{ socket }] })
    t.teardown(() => serving.close())
    await t.rejects(serveApp({ app, listen: [{ socket: `${folder}/other.sock` }, { socket }] }), {
      message: `Cannot listen on "${socket}": another process answers there`,
    })
    t.equal(existsSync(`${folder}/other.sock`), false)
    t.match(await requestAdmin(socket, '/'), { status: 200 })
  },
)

t.test('serveApp() takes over a socket that a dead process left behind', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  await leaveSocketFile(socket)
  t.ok(existsSync(socket))
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.teardown(() => serving.close())
  t.match(await requestAdmin(socket, '/'), { status: 200 })
})

t.test('close() lets a running answer end and takes no new request', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  let asked = (): void => undefined
  let release = (): void => undefined
  const isAsked = new Promise<void>((resolve) => (asked = resolve))
  const isReleased = new Promise<void>((resolve) => (release = resolve))
  const slow = {
    async fetch() {
      asked()
      await isReleased
      return new Response('late but whole')
    },
  }
  const serving = await serveApp({ app: slow, listen: [{ socket }] })
  const answer = requestAdmin(socket, '/')
  await isAsked
  const closing = serving.close()
  await t.rejects(requestAdmin(socket, '/'), { name: 'AdminUnreachableError' })
  release()
  t.match(await answer, { body: 'late but whole' })
  await closing
})

t.test('close() ends at its limit when an answer never comes', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  let asked = (): void => undefined
  const isAsked = new Promise<void>((resolve) => (asked = resolve))
  const stuck = {
    fetch() {
      asked()
      return new Promise<Response>(() => undefined)
    },
  }
  const serving = await serveApp({ app: stuck, listen: [{ socket }], drainLimit: 1 })
  const answer = requestAdmin(socket, '/').catch((thrown: unknown) => thrown)
  await isAsked
  await serving.close()
  t.match(await answer, { name: 'AdminUnreachableError' })
})

t.test('serveApp() survives what is not HTTP', async (t) => {
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.teardown(() => serving.close())
  const raw = connect(socket)
  raw.end('\0\0\0 nonsense\r\n\r\n')
  const chunks: Buffer[] = []
  for await (const chunk of raw) chunks.push(chunk as Buffer)
  t.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 400 /)
  t.match(await requestAdmin(socket, '/'), { status: 200 })
})

t.test('serveApp() reports when it cannot listen on a TCP port', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port: tcpPort } = taken.address() as { port: number }
  await t.rejects(serveApp({ app, listen: [{ host: '127.0.0.1', tcpPort }] }), {
    code: 'EADDRINUSE',
  })
})

t.test(
  'serveAdmin() opens the socket to whom the configuration names, in a folder of its own',
  async (t) => {
    const socket = `${scratchFolder(t)}/new/admin.sock`
    const tcp = { address: parseIpAddress('127.0.0.1')!, tcpPort: 0 }
    const serving = await serveAdmin(app, { socket, mode: 0o640, tcp })
    t.teardown(() => serving.close())
    t.equal(statSync(socket).mode & 0o777, 0o640)
    t.match(serving.addresses, [socket, /^http:\/\/127\.0\.0\.1:[1-9]/])
  },
)
