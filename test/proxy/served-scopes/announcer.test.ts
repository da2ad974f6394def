import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { silentLogger } from '../../../lib/runtime/log.ts'
import type { ScopeText } from '../../../lib/identity/scope.ts'
import { Announcer } from '../../../proxy/served-scopes/announcer.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

/** An agent that writes down what it receives. */
class Agent {
  readonly lines: string[] = []
  readonly connections: Socket[] = []
  readonly #server: Server

  constructor(receipt: string | undefined) {
    this.#server = createServer((socket) => {
      this.connections.push(socket)
      socket.on('error', () => undefined)
      createInterface({ input: socket }).on('line', (line) => {
        this.lines.push(line)
        if (line === '{"kind":"complete"}' && receipt !== undefined) socket.write(receipt)
      })
    })
  }

  static async at(t: Test, path: string, receipt?: string): Promise<Agent> {
    const agent = new Agent(receipt)
    agent.#server.listen(path)
    await once(agent.#server, 'listening')
    t.teardown(() => agent.stop())
    return agent
  }

  async until(count: number): Promise<void> {
    while (this.lines.length < count) await new Promise((resolve) => setImmediate(resolve))
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

function stage(t: Test, ...names: readonly string[]) {
  const folder = scratchFolder(t)
  const clock = new FakeClock()
  const sockets = names.map((name) => `${folder}/${name}`)
  const announcer = new Announcer({ sockets, workers: 9, clock, logger: silentLogger })
  t.teardown(() => announcer.close())
  const stateIs = async (...states: readonly string[]): Promise<void> => {
    const now = (): string => announcer.status.map(({ state }) => state).join()
    while (now() !== states.join()) await new Promise((resolve) => setImmediate(resolve))
  }
  return { clock, sockets, announcer, stateIs }
}

const accepted = '{"kind":"accepted","scopes":2}\n'
const begin = '{"kind":"begin","workers":9}'
const complete = '{"kind":"complete"}'
const scopes = (...texts: readonly ScopeText[]): ReadonlySet<ScopeText> => new Set(texts)

t.test('Announcer sends the whole list first, then what changes', async (t) => {
  const { sockets, announcer, stateIs } = stage(t, 'a.sock')
  const agent = await Agent.at(t, sockets[0]!, accepted)
  announcer.start()
  await stateIs('pending')
  announcer.announce(scopes('router/1', 'network/2'))
  await stateIs('accepted')
  t.strictSame(agent.lines, [begin, '{"kind":"add","scopes":["router/1","network/2"]}', complete])
  t.match(announcer.status, [{ state: 'accepted', scopes: 2 }])

  announcer.announce(scopes('network/2', 'router/1'))
  announcer.announce(scopes('network/2', 'router/3'))
  await agent.until(5)
  t.strictSame(agent.lines.slice(3), [
    '{"kind":"remove","scopes":["router/1"]}',
    '{"kind":"add","scopes":["router/3"]}',
  ])
})

t.test('Announcer reports that nothing is served, once that is known', async (t) => {
  const { sockets, announcer, stateIs } = stage(t, 'a.sock')
  const agent = await Agent.at(t, sockets[0]!, '{"kind":"accepted","scopes":0}\n')
  announcer.start()
  announcer.announce(scopes())
  await stateIs('accepted')
  t.strictSame(agent.lines, [begin, complete])
})

t.test('Announcer sends the whole list again to an agent that was started again', async (t) => {
  const { clock, sockets, announcer, stateIs } = stage(t, 'a.sock', 'b.sock')
  const [first, other] = await Promise.all(sockets.map((socket) => Agent.at(t, socket, accepted)))
  announcer.start()
  announcer.announce(scopes('router/1'))
  await stateIs('accepted', 'accepted')
  await first!.stop()
  await stateIs('absent', 'accepted')
  announcer.announce(scopes('router/1', 'router/2'))
  await other!.until(4)

  const second = await Agent.at(t, sockets[0]!, accepted)
  await clock.advance(50)
  await stateIs('accepted', 'accepted')
  t.strictSame(second.lines, [begin, '{"kind":"add","scopes":["router/1","router/2"]}', complete])
})

t.test('Announcer tries an absent agent again within a second, for ever', async (t) => {
  const { clock, sockets, announcer, stateIs } = stage(t, 'a.sock')
  announcer.start()
  announcer.announce(scopes('router/1'))
  for (let tries = 0; tries < 20; tries += 1) {
    await clock.untilWaiting(1)
    t.ok(clock.pending[0]! <= 1_000)
    t.match(announcer.status, [{ state: 'absent', why: 'ENOENT' }])
    await clock.advance(1_000)
  }
  await clock.untilWaiting(1)
  const agent = await Agent.at(t, sockets[0]!, accepted)
  await clock.advance(1_000)
  await stateIs('accepted')
  t.equal(agent.lines.length, 3)
})

t.test('Announcer reports that an agent refuses it, or answers in unknown words', async (t) => {
  const { sockets, announcer, stateIs } = stage(t, 'a.sock', 'b.sock')
  const [refusing] = await Promise.all([
    Agent.at(t, sockets[0]!),
    Agent.at(t, sockets[1]!, 'HTTP/1.1 400 Bad Request\r\n\r\n'),
  ])
  announcer.start()
  announcer.announce(scopes('router/1'))
  await refusing.until(3)
  for (const connection of refusing.connections) connection.destroy()
  await stateIs('refused', 'refused')
  t.match(announcer.status, [{ why: /the reason is in its log/ }, { why: 'nonsense' }])
})

t.test('Announcer that is closed tries no more', async (t) => {
  const { clock, announcer } = stage(t, 'a.sock')
  announcer.start()
  await clock.untilWaiting(1)
  announcer.close()
  t.equal(clock.waiting, 0)
})
