// One guest sent 4 MiB of pipelined requests and read no answer: the worker made two objects for each and died of its heap, and other
// tenants got nothing. Right: reading stops until the answers are read, nothing is held beyond a small budget, nobody else notices.
import { connect } from 'node:net'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { networkIdentity, routerIdentity, startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
agent.answer = ({ method }) => plainAnswer(method === 'HEAD' ? '' : Buffer.alloc(2_000, 'x'))
const worker = await startWorker({
  agentSocket: agent.path,
  identities: [routerIdentity, networkIdentity],
})
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

/** Bytes of the process that are in memory now. */
function residentBytes(pid = worker.pid): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return pages * 4_096
}

const line = 'GET / HTTP/1.1\r\nHost:a\r\n\r\n'

t.test('4 MiB of requests whose answers stay unread are not read', async (t) => {
  await askRaw(worker.targets[1]!, get('/'))
  const before = residentBytes()
  const flood = Buffer.from(line.repeat((4 * 1024 * 1024) / line.length))
  const greedy = connect({ host: worker.target.host, port: worker.target.tcpPort })
  greedy.on('error', () => undefined)
  greedy.pause()
  greedy.write(flood)

  for (let turn = 0; turn < 50; turn += 1) {
    t.equal((await askRaw(worker.targets[1]!, get('/neighbour')))?.status, 200)
  }
  const held = await worker.metric('overlapd_proxy_held_bytes')

  t.equal(worker.isRunning, true)
  t.ok(held < 512 * 1024, `${held} bytes are held`)
  t.ok(residentBytes() - before < 64 * 1024 * 1024, `${residentBytes() - before} more resident`)
  greedy.destroy()
})

const mebibyte = 1024 * 1024
/** Of the namespace whose guests they are, in all. */
const namespaceBudget = 24 * mebibyte

for (const [what, addresses, bytes, mostResident] of [
  ['64 connections with 1 MiB of requests each', 1, line.repeat(mebibyte / line.length), 64],
  [
    '64 connections from each of 9 addresses with 32 heads of 16 KiB',
    9,
    get('/held', `X: ${'x'.repeat(16_000)}`).repeat(32),
    160,
  ],
] as const) {
  t.test(`${what} take no more than their budget`, async (t) => {
    const agent = await RecordingAgent.start()
    const worker = await startWorker({
      agentSocket: agent.path,
      agent: { connections: 1_000 },
      identities: [routerIdentity, networkIdentity],
    })
    const { host, tcpPort } = worker.target
    agent.answer = ({ target }) => (target === '/held' ? undefined : plainAnswer('ok'))
    const neighbour = () => askRaw(worker.targets[1]!, get('/neighbour'))
    await neighbour()
    const before = residentBytes(worker.pid)
    const flood = Buffer.from(bytes)
    const greedy = Array.from({ length: 64 * addresses }, (_, index) => {
      const localAddress = `127.0.1.${1 + (index % addresses)}`
      const socket = connect({ host, port: tcpPort, localAddress }).pause()
      socket.on('error', () => undefined)
      socket.write(flood)
      return socket
    })
    t.teardown(async () => {
      for (const socket of greedy) socket.destroy()
      await worker.stop()
      await agent.close()
    })

    for (let turn = 0; turn < 20; turn += 1) t.equal((await neighbour())?.status, 200)

    const held = await worker.metric('overlapd_proxy_held_bytes')
    const more = (residentBytes(worker.pid) - before) / mebibyte
    t.comment(`${held} bytes are held, ${Math.round(more)} MiB more are resident`)
    t.ok(held <= namespaceBudget)
    t.ok(more < mostResident)
  })
}

t.test('40 requests sent ahead are all answered', async (t) => {
  for (const request of [get('/plain'), 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', line]) {
    const guest = await RawConnection.open(worker.target)
    await guest.write(request.repeat(40))
    const isHead = request.startsWith('HEAD')
    for (let index = 0; index < 40; index += 1) {
      t.equal((await guest.answer({ isHead }))?.status, 200)
    }
    guest.close()
  }
})

t.test('what follows a body is the next request, wherever the body ends', async (t) => {
  const bodies = [
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n',
  ]
  for (const body of bodies) {
    const before = agent.requests.length
    const guest = await RawConnection.open(worker.target)
    await guest.write((body + get('/next')).repeat(20))
    for (let index = 0; index < 40; index += 1) t.equal((await guest.answer())?.status, 200)
    t.strictSame(
      agent.requests.slice(before).map((request) => request.body.toString()),
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 'abc' : '')),
    )
    guest.close()
  }
})
