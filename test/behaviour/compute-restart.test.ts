import t, { type Test } from 'tap'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import type { RawAnswer } from '../support/raw-http.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

async function startWithUpstreams(
  t: Test,
  count: number,
): Promise<OneGuest & { upstreams: readonly RecordingUpstream[] }> {
  const upstreams = await Promise.all(
    Array.from({ length: count }, () => RecordingUpstream.start()),
  )
  t.teardown(() => Promise.all(upstreams.map((one) => one.close())))
  const guest = await startAgentForOneGuest(t, {
    upstreams: upstreams.map(({ url }) => url),
    config: { compute: { timeout_restart: '3s' } },
  })
  return { ...guest, upstreams }
}

/** Lets time pass until the answer is there, and tells how much it took. */
async function timed(
  { clock }: OneGuest,
  asking: Promise<RawAnswer | undefined>,
): Promise<{ answer: RawAnswer | undefined; span: number }> {
  const began = clock.now()
  let isOver = false
  const settled = asking.finally(() => (isOver = true))
  while (!isOver) await clock.advance(10)
  return { answer: await settled, span: clock.now() - began }
}

t.test('a request that comes while compute restarts is answered by the new one', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  const [upstream] = subject.upstreams
  await upstream?.stopListening()

  const asking = subject.agent.ask('/openstack', guestFields)
  while (((await subject.agent.json('/status')) as AgentStatus).upstreams[0]?.failures === 0);
  await upstream?.listen()
  const { answer, span } = await timed(subject, asking)

  t.equal(answer?.status, 200)
  t.ok(span < 1_000, `it was tried again soon, after ${span} ms`)
})

t.test('connections that end without a word are tried again as well', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  const [upstream] = subject.upstreams
  let isStarting = true
  upstream!.answer = (_request, response) => {
    if (isStarting) response.socket?.destroy()
    else response.end('ready')
  }

  const asking = subject.agent.ask('/openstack', guestFields)
  while (upstream!.requests.length === 0) await subject.clock.advance(0)
  isStarting = false
  const { answer } = await timed(subject, asking)

  t.equal(answer?.body.toString(), 'ready')
})

t.test('whoever comes back first of several endpoints answers', async (t) => {
  const subject = await startWithUpstreams(t, 2)
  const [first, second] = subject.upstreams
  await Promise.all([first?.stopListening(), second?.stopListening()])

  const asking = subject.agent.ask('/openstack', guestFields)
  while (((await subject.agent.json('/status')) as AgentStatus).upstreams[1]?.failures === 0);
  await second?.listen()
  const { answer } = await timed(subject, asking)

  t.equal(answer?.status, 200)
  t.equal(second?.requests.length, 1)
})

t.test('compute that stays away is waited for no longer than allowed', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  await subject.upstreams[0]?.stopListening()

  const { answer, span } = await timed(subject, subject.agent.ask('/openstack', guestFields))

  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'compute_unreachable')
  t.equal(answer?.field('retry-after'), '2')
  t.ok(span > 2_000 && span <= 3_010, `${span} ms`)
})

t.test('once it has been away for long, guests are refused at once', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  await subject.upstreams[0]?.stopListening()
  for (let round = 0; round < 8; round += 1) {
    await timed(subject, subject.agent.ask('/openstack', guestFields))
  }

  const later = await timed(subject, subject.agent.ask('/openstack', guestFields))
  subject.clock.pass(120_000)
  const muchLater = await timed(subject, subject.agent.ask('/openstack', guestFields))

  t.equal(later.answer?.status, 503)
  t.ok(later.span <= 100, `${later.span} ms`)
  t.ok(muchLater.span > 2_000, 'after two minutes in which nobody asked it may well be a restart')
})

t.test('nothing waits that must not be sent twice', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  await subject.upstreams[0]?.stopListening()

  const { answer, span } = await timed(
    subject,
    subject.agent.ask('/openstack/latest/password', guestFields, { method: 'POST', body: 'x' }),
  )

  t.equal(answer?.status, 503)
  t.ok(span <= 100, `${span} ms`)
})

t.test('a guest that leaves meanwhile causes no second request', async (t) => {
  const subject = await startWithUpstreams(t, 1)
  const [upstream] = subject.upstreams
  await upstream?.stopListening()
  const connection = await subject.agent.connect()
  const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  await connection.write(`GET /openstack HTTP/1.1\r\n${lines}\r\n`)
  const failures = async (): Promise<number> =>
    ((await subject.agent.json('/status')) as AgentStatus).upstreams[0]?.failures ?? 0
  while ((await failures()) === 0);

  connection.close()
  const left = async (): Promise<boolean> =>
    ((await subject.agent.json('/status')) as AgentStatus).recentRefusals.some(
      ({ outcome }) => outcome === 'left',
    )
  while (!(await left())) await subject.clock.advance(0)
  await upstream?.listen()
  await subject.clock.advance(10_000)

  // The agent looks whether it is back, with a path of no instance.
  t.strictSame(
    upstream?.requests.map(({ target }) => target).filter((one) => one !== '/'),
    [],
  )
})
