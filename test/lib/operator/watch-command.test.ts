import t, { type Test } from 'tap'
import { runProgram } from '../../../lib/cli/command.ts'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { EventFeed } from '../../../lib/http/event-feed.ts'
import { addEventsRoute } from '../../../lib/http/events-route.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import { fitsFilter, type RequestEvent } from '../../../lib/operator/request-event.ts'
import { eventLine, watchCommand } from '../../../lib/operator/watch-command.ts'
import { WatchedRequests } from '../../../lib/operator/watched-requests.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { madeHealth } from '../../support/made-health.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { until } from '../../support/until.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const event: RequestEvent = {
  at: '2026-01-01T14:02:11.503Z',
  requestId: 'r-1',
  method: 'GET',
  target: '/latest/\u001b[2J',
  scope: 'router/r',
  sourceIp: '10.0.0.10',
  instanceId: 'i-1',
  answeredBy: 'agent',
  outcome: 'relayed',
  status: 200,
  span: 1.54,
}

interface Daemon {
  readonly socket: string
  readonly feed: EventFeed<RequestEvent>
  close(): Promise<void>
}

async function startDaemon(t: Test, socket = `${scratchFolder(t)}/admin.sock`): Promise<Daemon> {
  const feed = new EventFeed<RequestEvent>({ clock: new FakeClock() })
  const app = createAdminApp({
    health: () => madeHealth(),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    status: () => ({}),
    history: () => [],
  })
  addEventsRoute(app, feed)
  const serving = await serveApp({ app, listen: [{ socket, mode: 0o600 }] })
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    feed.close()
    await serving.close()
  }
  t.teardown(close)
  return { socket, feed, close }
}

function watch(
  terminal: FakeTerminal,
  { clock = new FakeClock() }: { readonly clock?: FakeClock },
  ...argv: string[]
): Promise<number> {
  const program = { name: 'overlapd', description: '', commands: [watchCommand(clock)] }
  return runProgram(program, ['watch', ...argv], terminal)
}

t.test(
  'watch prints a line for each request, once, with nothing that a terminal obeys',
  async (t) => {
    const proxy = await startDaemon(t)
    const agent = await startDaemon(t)
    const terminal = new FakeTerminal()
    const sockets = ['--proxy', proxy.socket, '--agent', agent.socket]
    const watching = watch(terminal, {}, ...sockets, '--count', '3')
    await until(() => proxy.feed.isWatched && agent.feed.isWatched)
    agent.feed.publish(event)
    await until(() => terminal.written().out.includes('r-1'))
    proxy.feed.publish(event)
    proxy.feed.publish({
      ...event,
      requestId: 'r-2',
      answeredBy: 'nobody',
      outcome: 'left',
      status: 0,
    })
    proxy.feed.publish({
      ...event,
      requestId: 'r-3',
      answeredBy: 'worker',
      outcome: 'refused',
      status: 503,
      reason: 'agent_unreachable',
    })
    t.equal(await watching, 0)
    const lines = terminal.written().out.trimEnd().split('\n')
    t.equal(
      lines[0],
      '14:02:11.503  200  10.0.0.10        router/r  i-1  1.5 ms  GET /latest/\\u001b[2J  r-1',
    )
    t.match(lines[1], /^14:02:11\.503 {2}--- .* left i-1 .* r-2$/)
    t.match(lines[2], / 503 .* agent_unreachable i-1 .* r-3$/)
    t.equal(lines.length, 3)
  },
)

t.test(
  'watch ends quietly once its output is closed, and prints how many it has missed',
  async (t) => {
    const proxy = await startDaemon(t)
    const agent = await startDaemon(t)
    const terminal = new FakeTerminal()
    const watching = watch(terminal, {}, '--proxy', proxy.socket, '--agent', agent.socket, '--json')
    await until(() => proxy.feed.isWatched && agent.feed.isWatched)
    agent.feed.publish(event)
    proxy.feed.missed(7)
    await until(() => terminal.written().out !== '' && terminal.written().error !== '')
    terminal.close()
    t.equal(await watching, 0)
    t.strictSame(JSON.parse(terminal.written().out), { api: '1', ...event })
    t.equal(terminal.written().error, 'proxy: 7 requests are not shown\n')
    await until(() => !proxy.feed.isWatched && !agent.feed.isWatched)
  },
)

t.test('watch goes on with one daemon, and watches one again that restarts', async (t) => {
  const agent = await startDaemon(t)
  const none = `${scratchFolder(t)}/none`
  const terminal = new FakeTerminal()
  const clock = new FakeClock()
  const sockets = ['--proxy', none, '--agent', agent.socket]
  const watching = watch(terminal, { clock }, ...sockets, '--count', '1')
  await until(() => agent.feed.isWatched && clock.waiting === 1)
  agent.feed.close()
  await until(() => clock.waiting === 2)
  await agent.close()
  await clock.advance(20_000)
  const successor = await startDaemon(t, agent.socket)
  await clock.advance(5_000)
  await until(() => successor.feed.isWatched)
  successor.feed.publish(event)
  t.equal(await watching, 0)
  t.match(terminal.written().out, / r-1\n$/)
  const [absent, ...agents] = terminal.written().error.trimEnd().split('\n')
  t.match(absent, /^proxy: not watched\. Cannot get an answer from /)
  t.strictSame(agents, [
    'agent: not watched until it is back. The daemon ended the stream',
    'agent: watched again',
  ])
})

t.test('watch ends with 2 without any daemon, and where it is called wrongly', async (t) => {
  const none = `${scratchFolder(t)}/none`
  const alone = new FakeTerminal()
  t.equal(await watch(alone, {}, '--proxy', none, '--agent', none), 2)
  t.match(alone.written().error, /\nTry "overlapd doctor"\.\n$/)
  const wrong = new FakeTerminal()
  t.equal(await watch(wrong, {}, '--reason', 'made_up'), 2)
  t.match(wrong.written().error, /there is no reason code "made_up"\nTry "overlapd watch --help"/)
})

t.test('--refused leaves out a path that compute does not have', async (t) => {
  const rows = [
    ['relayed', 200, false],
    ['relayed', 404, false],
    ['relayed', 403, true],
    ['relayed', 500, true],
    ['refused', 404, true],
    ['cut_off', 200, true],
    ['left', 0, true],
  ] as const
  for (const [outcome, status, isShown] of rows) {
    const fits = fitsFilter({ only: 'refused' }, { ...event, outcome, status })
    t.equal(fits, isShown, `${outcome} ${status}`)
  }
})

t.test(
  'watch shows requests that the agent answered from the proxy where no agent is watched',
  async (t) => {
    const requests = new WatchedRequests()
    t.equal(requests.isNew('proxy', { ...event }), true)
    requests.watches('agent')
    t.equal(requests.isNew('proxy', { ...event }), false)
    requests.leaves('agent')
    t.equal(requests.isNew('proxy', { ...event }), true)
  },
)

t.test('eventLine() shows whatever a daemon of another version sends', async (t) => {
  t.equal(eventLine({ at: 5 }), '              ---                     -  ? ms')
})
