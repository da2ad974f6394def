// Guests that asked for an answer of 512 KiB or more and did not read it held all of the agent's slots at compute: neighbours got 503 or
// waited 10 s. Right: no slot waits for a guest; what is unread is counted, and of whoever holds most an answer is broken off.
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import type { Fields } from '../support/start-agent.ts'
import { until } from '../support/until.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'

const mebibyte = 1024 * 1024

/** Paths are sizes in bytes. */
async function start(t: Test): Promise<OneGuest & { upstream: RecordingUpstream }> {
  const upstream = await RecordingUpstream.start(({ target }, response) => {
    response.end(Buffer.alloc(Number(target.slice(1))))
  })
  t.teardown(() => upstream.close())
  const guest = await startAgentForOneGuest(t, {
    upstreams: [upstream.url],
    config: { compute: { concurrency: 4, concurrency_start: 4, concurrency_min: 4 } },
  })
  guest.directory.setPorts(
    ...[1, 2].map((number) => ({
      portId: portId(number),
      networkId: networkId(number),
      macAddress: mac(number),
      fixedIps: [ip('10.0.0.10')],
      instanceId: instanceId(number),
      projectId: projectId(number),
    })),
  )
  guest.directory.remember()
  return { ...guest, upstream }
}

const otherFields: Fields = [
  ['X-Neutron-Network-ID', networkId(2)],
  ['X-Forwarded-For', '10.0.0.10'],
  ['X-Overlapd-Source-MAC', mac(2)],
]

/** Asks on a connection of its own from which nothing is read. */
function askUnread(t: Test, { agent }: OneGuest, bytes: number, fields = guestFields): Socket {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const socket = connect(agent.socketOf('overlapd'))
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(`GET /${bytes} HTTP/1.1\r\n${lines}\r\n`)
  t.teardown(() => socket.destroy())
  return socket
}

async function metricOf({ agent }: OneGuest, name: string): Promise<number> {
  const line = (await agent.text('/metrics')).split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1))
}

const cutOff = (why: string): string => `overlapd_agent_unread_answers_cut_off_total{why="${why}"}`

t.test('guests that do not read leave the slots to their neighbours', async (t) => {
  const all = await start(t)
  for (let count = 0; count < 16; count += 1) askUnread(t, all, mebibyte)
  await until(async () => all.upstream.requests.length >= 4)
  t.equal((await all.agent.ask('/10', guestFields))?.status, 200, 'the same guest')
  t.equal((await all.agent.ask('/10', otherFields))?.status, 200, 'another guest')
  await until(async () => (await metricOf(all, 'overlapd_agent_compute_running')) === 0)
  t.equal(all.upstream.requests.length, 18)
})

t.test('whoever holds most unread gives way, and no other', async (t) => {
  const all = await start(t)
  const modest = askUnread(t, all, mebibyte, otherFields)
  await until(async () => all.upstream.requests.length === 1)
  for (let count = 0; count < 20; count += 1) askUnread(t, all, 4 * mebibyte)
  await until(async () => (await metricOf(all, cutOff('most_held'))) >= 1)
  t.match(
    all.agent.log.find(({ reason }) => reason === 'answer_unread'),
    { why: 'most_held', scope: `network/${networkId(1)}`, source: '10.0.0.10' },
  )
  let bytes = 0
  modest.on('data', (chunk: Buffer) => (bytes += chunk.length)).resume()
  await until(async () => bytes > mebibyte)
  t.pass('the modest one has its whole answer')
})

t.test('an answer too long to be held whole may not stand still', async (t) => {
  const all = await start(t)
  const socket = askUnread(t, all, 8 * mebibyte)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await until(async () => all.clock.pending.includes(5_000))
  t.equal(await metricOf(all, 'overlapd_agent_compute_running'), 1)
  await all.clock.advance(5_000)
  await until(async () => (await metricOf(all, 'overlapd_agent_compute_running')) === 0)
  t.equal(await metricOf(all, cutOff('stalled')), 1)
  socket.resume()
  await closed
})

t.test('an answer that is long and read arrives whole', async (t) => {
  const all = await start(t)
  let bytes = 0
  const socket = askUnread(t, all, 24 * mebibyte)
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).resume()
  await until(async () => bytes > 24 * mebibyte)
  t.notOk(all.clock.pending.includes(5_000), 'nothing is left waiting')
})
