import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { ConnectionRefusals } from '../../../agent-side/listeners/connection-refusals.ts'
import { Fence } from '../../../agent-side/served-scopes/fence.ts'
import { ScopesListener } from '../../../agent-side/served-scopes/listener.ts'
import { markerBeside } from '../../../agent-side/served-scopes/marker.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const own = process.geteuid?.() ?? 0

async function stage(t: Test, accounts: readonly number[] = [own]) {
  const clock = new FakeClock()
  const path = `${scratchFolder(t)}/scopes.sock`
  const refused: string[] = []
  const observer = { refusedConnection: (why: string) => void refused.push(why) }
  const supervisors = new Set(accounts)
  const marker = markerBeside(path, silentLogger)
  const fence = new Fence({ mode: 'automatic', marker, supervisors, clock, observer: undefined })
  const listener = new ScopesListener({
    fence,
    socket: { path, mode: 0o600, backlog: 16 },
    supervisors,
    refusals: new ConnectionRefusals({ clock, logger: silentLogger, observer }),
    clock,
  })
  await listener.start()
  t.teardown(() => listener.close())
  return { clock, fence, listener, path, refused }
}

function connected(t: Test, path: string): Socket {
  const socket = connect(path)
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  return socket
}

/** A socket that was reset has closed as well. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()))
}

const list = ['{"kind":"begin","workers":9}', '{"kind":"add","scopes":["router/1"]}']
const text = (...lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

t.test('ScopesListener takes a list, in whatever pieces it comes, and confirms it', async (t) => {
  const { fence, path, refused } = await stage(t)
  t.equal(statSync(path).mode & 0o777, 0o600)
  const supervisor = connected(t, path)
  for (const byte of text(...list, '{"kind":"complete"}')) supervisor.write(byte)
  const [receipt] = (await once(supervisor, 'data')) as [Buffer]
  t.equal(receipt.toString(), '{"kind":"accepted","scopes":1}\n')
  t.match(fence.status, { state: 'closed', scopes: 1, supervisors: 1 })
  supervisor.destroy()
  while (fence.status.supervisors > 0) await new Promise((resolve) => setImmediate(resolve))
  t.match(fence.status, { state: 'closed', scopes: 1 })
  t.strictSame(refused, [])
  t.equal(readFileSync(`${path}.reported`, 'utf8'), '9')
  t.equal(statSync(`${path}.reported`).mode & 0o777, 0o600)
})

t.test('ScopesListener hangs up on other accounts before it reads a byte', async (t) => {
  const { fence, path, refused } = await stage(t, [own + 1])
  const stranger = connected(t, path)
  stranger.write(text(...list, '{"kind":"complete"}'))
  stranger.resume()
  await closed(stranger)
  t.equal(fence.status.state, 'open')
  t.strictSame(refused, ['scopes_account'])
})

for (const [what, bytes] of [
  ['no JSON', 'GET / HTTP/1.1\r\n\r\n'],
  ['an unknown message', text('{"kind":"open"}')],
  ['a change before the list', text('{"kind":"add","scopes":["router/1"]}')],
  ['a star for a scope', text(list[0]!, '{"kind":"add","scopes":["*"]}')],
  ['a line without an end', 'x'.repeat(40_000)],
  ['a flood', text(list[0]!).repeat(3_000)],
] as const) {
  t.test(`ScopesListener hangs up on ${what}, and what counted still counts`, async (t) => {
    const { fence, path, refused } = await stage(t)
    const good = connected(t, path)
    good.write(text(...list, '{"kind":"complete"}'))
    await once(good, 'data')
    const bad = connected(t, path)
    bad.resume()
    bad.write(bytes)
    await closed(bad)
    t.strictSame(refused, ['scopes_message'])
    t.match(fence.status, { state: 'closed', scopes: 1, supervisors: 1 })
  })
}

t.test('ScopesListener leaves nothing behind but what the next agent should know', async (t) => {
  const { listener, path } = await stage(t)
  const supervisor = connected(t, path)
  supervisor.resume()
  supervisor.write(text(...list, '{"kind":"complete"}'))
  await once(supervisor, 'data')
  await listener.close()
  await closed(supervisor)
  t.equal(existsSync(path), false)
  t.equal(existsSync(`${path}.reported`), true)
})

t.test(
  'markerBeside reads a user, and nothing out of a file that holds something else',
  async (t) => {
    const marker = markerBeside(`${scratchFolder(t)}/scopes.sock`, silentLogger)
    t.equal(marker.read(), undefined)
    marker.set(7)
    t.equal(marker.read(), 7)
    marker.clear()
    marker.clear()
    t.equal(marker.read(), undefined)
    const path = `${scratchFolder(t)}/other.sock`
    writeFileSync(`${path}.reported`, 'nonsense')
    t.equal(markerBeside(path, silentLogger).read(), undefined)
    t.doesNotThrow(() => markerBeside('/nowhere/at/all.sock', silentLogger).set(1))
  },
)
