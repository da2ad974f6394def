// A download of user data that compute broke off, or that the guest left, counted as the first fetch under `seal: fetch`, and so did HEAD:
// the window ended, and a guest that never had its user data got 404 from then on. Right: only a whole answer begins the window.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { guestPort, startLeasePair, type LeasePair } from '../support/lease-pair.ts'
import { get, type RawAnswer, type RawConnection } from '../support/raw-http.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

const guest = guestPort(1)
const window = 300_000
const userData = '#cloud-config\n'.repeat(100)

/** The head of a whole answer, with or without its length, and half of the body. */
type Begin = (response: ServerResponse) => void
const framings: Readonly<Record<string, Begin>> = {
  'of a known length': (response) =>
    void response
      .writeHead(200, { 'content-length': userData.length })
      .write(userData.slice(0, 700)),
  'in chunks': (response) => {
    // Longer than what is held back until its length is known.
    response.writeHead(200).write('x'.repeat(100_000))
  },
}

async function start(t: Test): Promise<LeasePair> {
  const policyFile = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(policyFile, 'default: { seal: fetch, seal_after: 5m }')
  const shield = { policy_file: policyFile, state_file: join(scratchFolder(t), 'state') }
  const pair = await startLeasePair(t, { config: { shield } })
  pair.directory.setPorts(guest)
  pair.directory.remember()
  return pair
}

async function send({ worker }: LeasePair, method = 'GET'): Promise<RawConnection> {
  const connection = await worker.connectAs(guest)
  void connection.write(get('/openstack/latest/user_data').replace('GET', method))
  return connection
}

async function wordOf(pair: LeasePair, method = 'GET'): Promise<string> {
  const connection = await send(pair, method)
  const answer: RawAnswer | undefined = await connection.answer({ isHead: method === 'HEAD' })
  connection.close()
  return answer === undefined
    ? 'broken off'
    : `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()
}

/** After the window that a broken fetch must not have begun, the guest gets its user data, and that fetch does begin it. */
async function fetchesAgain(t: Test, pair: LeasePair): Promise<void> {
  pair.upstream.answer = (_request, response) => void response.end(userData)
  await pair.clock.advance(window)
  t.equal(await wordOf(pair), '200', 'its user data')
  await pair.clock.advance(window - 1)
  t.equal(await wordOf(pair), '200', 'and within the window once more')
  await pair.clock.advance(1)
  t.equal(await wordOf(pair), '404 document_sealed')
}

for (const [framing, begin] of Object.entries(framings)) {
  t.test(`user data ${framing} that compute breaks off can be fetched again`, async (t) => {
    const pair = await start(t)
    pair.upstream.answer = (_request, response) => {
      begin(response)
      response.socket?.end()
    }
    const connection = await send(pair)
    t.equal(await connection.answer(), undefined, 'broken off')
    await fetchesAgain(t, pair)
  })

  t.test(`user data ${framing} that the guest leaves can be fetched again`, async (t) => {
    const pair = await start(t)
    const begun = new Promise<ServerResponse>((resolve) => {
      pair.upstream.answer = (_request, response) => {
        begin(response)
        resolve(response)
      }
    })
    const connection = await send(pair)
    const left = once(await begun, 'close')
    await connection.received(500)
    connection.reset()
    await left
    await fetchesAgain(t, pair)
  })
}

t.test('HEAD brings no user data and begins no window', async (t) => {
  const pair = await start(t)
  pair.upstream.answer = (_request, response) => void response.end()
  t.equal(await wordOf(pair, 'HEAD'), '200')
  await fetchesAgain(t, pair)
})
