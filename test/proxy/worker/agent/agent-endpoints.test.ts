import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { createLogger } from '../../../../lib/runtime/log.ts'
import { AgentEndpoints } from '../../../../proxy/worker/agent/agent-endpoints.ts'
import type { AgentReport } from '../../../../proxy/worker/shared/protocol.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { loopOf } from '../../../support/raw-loop.ts'
import { scratchFolder } from '../../../support/scratch-folder.ts'

t.test(
  'meet() finds out before any guest that an agent is not there, and that it came',
  async (t) => {
    const folder = scratchFolder(t)
    const sockets = [join(folder, 'first.sock'), join(folder, 'second.sock')]
    const second = createServer()
    second.listen(sockets[1])
    await once(second, 'listening')
    t.teardown(() => second.close())
    const clock = new FakeClock()
    const lines: string[] = []
    let changed: (reports: readonly AgentReport[]) => void = () => undefined
    const nextChange = (): Promise<readonly AgentReport[]> =>
      new Promise((resolve) => (changed = resolve))
    const endpoints: AgentEndpoints = new AgentEndpoints({
      config: {
        addresses: sockets.map((socket) => ({ kind: 'unix', socket })),
        connections: 1,
        timeoutConnect: 1_000,
        timeoutHeaders: 1_000,
        timeoutBody: 1_000,
        checksHealth: false,
      },
      clock,
      loop: loopOf(t),
      logger: createLogger({
        component: 'test',
        level: 'info',
        destination: { write: (line: string) => void lines.push(line) },
      }),
      defect: (cause) => t.fail(String(cause)),
      onDown: () => undefined,
      isWaitedFor: () => false,
      onChange: () => changed(endpoints.reports()),
    })
    t.teardown(() => endpoints.close())

    const visit = once(second, 'connection')
    const down = nextChange()
    endpoints.meet()

    t.match(await down, [
      { agent: sockets[0], state: 'down', lastFailure: /ENOENT/ },
      { agent: sockets[1], state: 'up' },
    ])
    t.match(lines.join(''), /Agent looks down/)
    const [visitor] = (await visit) as [Socket]
    // Hung up again: until then its limit is running.
    await once(visitor.resume(), 'close')

    const first = createServer()
    first.listen(sockets[0])
    await once(first, 'listening')
    t.teardown(() => first.close())
    const up = nextChange()
    const [endpoint] = endpoints.all
    await clock.advance(5_000)

    t.match(await up, [
      { agent: sockets[0], state: 'up', isAnswering: false },
      { agent: sockets[1], state: 'up' },
    ])
    t.match(lines.join(''), /Agent is back/)

    if (endpoint === undefined) throw new Error('There is no endpoint')
    let attempts = 0
    endpoint.tryConnecting = (tried) => {
      attempts += 1
      tried(new MetadataError('agent_unreachable', 'refused'))
    }
    endpoints.noteFailure(endpoint, 'connect', 'refused')
    for (let second = 0; second < 600; second += 1) await clock.advance(1_000)

    t.ok(attempts >= 10, 'it is tried again once a minute at least')
    t.ok(attempts <= 24, 'and not every five seconds, as a thousand hosts would do together')
  },
)
