import t, { type Test } from 'tap'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { EventFeed } from '../../../lib/http/event-feed.ts'
import { readEvents, type StreamEvent } from '../../../lib/http/event-reader.ts'
import { addEventsRoute } from '../../../lib/http/events-route.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import type { RequestEvent } from '../../../lib/operator/request-event.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { madeHealth } from '../../support/made-health.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const event: RequestEvent = {
  at: '2026-01-01T00:00:00.000Z',
  requestId: 'r-1',
  method: 'GET',
  target: '/latest/meta-data/',
  scope: 'router/r',
  sourceIp: '10.0.0.10',
  networkId: 'n',
  instanceId: 'i-1',
  answeredBy: 'agent',
  outcome: 'relayed',
  status: 200,
  span: 1.5,
}
const refused: RequestEvent = { ...event, requestId: 'r-2', status: 404, reason: 'no_port' }

async function served(t: Test, feed: EventFeed<RequestEvent>): Promise<string> {
  const app = createAdminApp({
    health: () => madeHealth(),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    status: () => ({}),
    history: () => [],
  })
  addEventsRoute(app, feed)
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket, mode: 0o600 }] })
  t.teardown(async () => {
    feed.close()
    await serving.close()
  })
  return socket
}

async function next(stream: AsyncGenerator<StreamEvent>): Promise<StreamEvent | undefined> {
  const { value, done } = await stream.next()
  return done === true ? undefined : value
}

t.test('EventFeed sends each watcher the events that fit, over the admin socket', async (t) => {
  const turns: boolean[] = []
  const feed = new EventFeed<RequestEvent>({
    clock: new FakeClock(),
    onWatched: (isOn) => turns.push(isOn),
  })
  const socket = await served(t, feed)
  t.equal(feed.isWatched, false)
  const ending = new AbortController()
  const all = readEvents(socket, '/events', ending.signal)
  const bad = readEvents(socket, '/events?reason=no_port&network=n', ending.signal)
  t.match(await next(all), { kind: 'watching' })
  t.match(await next(bad), { kind: 'watching' })
  t.equal(feed.watchers, 2)
  feed.publish(event)
  feed.publish(refused)
  feed.missed(3)
  t.strictSame(await next(all), { kind: 'request', data: event })
  t.strictSame(await next(all), { kind: 'request', data: refused })
  t.strictSame(await next(bad), { kind: 'request', data: refused })
  t.strictSame(await next(bad), { kind: 'missed', data: { count: 3 } })
  ending.abort()
  t.match(await next(all), { kind: 'missed' })
  t.equal(await next(all), undefined)
  t.equal(await next(bad), undefined)
  while (feed.isWatched) await new Promise(setImmediate)
  t.strictSame(turns, [true, false])
})

t.test('EventFeed refuses unknown filters, and more streams than it has room for', async (t) => {
  const feed = new EventFeed<RequestEvent>({ clock: new FakeClock(), most: 1 })
  const socket = await served(t, feed)
  const { signal } = new AbortController()
  const messages = [
    ['/events?color=red', /unknown filter/],
    ['/events?reason=made_up', /there is no reason code/],
    ['/events?only=good', /only takes refused/],
  ] as const
  for (const [path, message] of messages) {
    await t.rejects(next(readEvents(socket, path, signal)), { message })
  }
  await next(readEvents(socket, '/events', signal))
  await t.rejects(next(readEvents(socket, '/events', signal)), { message: /too many streams/ })
})

t.test(
  'EventFeed ends the stream of a reader that does not keep up, and waits for none',
  async (t) => {
    const feed = new EventFeed<RequestEvent>({ clock: new FakeClock() })
    const answer = feed.watch(() => true)
    const quick = feed.watch(() => true)
    const reader = quick?.body?.getReader()
    const large = { ...event, target: 'x'.repeat(100_000) }
    for (let count = 0; count < 20; count += 1) {
      feed.publish(large)
      await reader?.read()
    }
    t.equal(feed.dropped, 1)
    t.equal(feed.watchers, 1)
    await t.rejects(async () => void (await answer?.text()), { message: /too slow/ })
    feed.close()
    t.equal(feed.isWatched, false)
  },
)

t.test('EventFeed sends a sign of life, and nothing without a reader', async (t) => {
  const clock = new FakeClock()
  const feed = new EventFeed<RequestEvent>({ clock })
  const reader = feed.watch(() => true)?.body?.getReader()
  await reader?.read()
  await clock.advance(15_000)
  t.match(new TextDecoder().decode((await reader?.read())?.value as Uint8Array), /^: still here/)
  await reader?.cancel()
  t.equal(feed.isWatched, false)
  t.equal(clock.waiting, 0)
})
