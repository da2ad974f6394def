import { once } from 'node:events'
import { statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ConnectionRefusals } from '../../../agent-side/listeners/connection-refusals.ts'
import { LeaseListener } from '../../../agent-side/leases/lease-listener.ts'
import { LeaseIssuer } from '../../../agent-side/leases/lease-issuer.ts'
import { longestLeaseLine } from '../../../lib/wire/lease-messages.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

async function stage(t: Test) {
  const clock = new FakeClock()
  const issuer = new LeaseIssuer({
    verdicts: { remembered: () => undefined, onForgotten: () => () => undefined },
    directory: { onChange: () => () => undefined },
    upstreamsFor: () => [],
    clock,
    ttl: 5_000,
    oldest: 10_000,
    concurrency: { min: 1, max: 1 },
    maxPerHolder: 3,
  })
  const path = `${scratchFolder(t)}/lease.sock`
  const socket = { path, mode: 0o600, backlog: 16 }
  const refusals = new ConnectionRefusals({ clock, logger: silentLogger, observer: undefined })
  const listener = new LeaseListener({ issuer, socket, refusals })
  await listener.start()
  t.teardown(() => listener.close())
  return { clock, issuer, listener, path }
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path)
  socket.on('error', () => undefined)
  await once(socket, 'data')
  return socket
}

t.test('LeaseListener lets no other user in by its file', async (t) => {
  const { path } = await stage(t)
  t.equal(statSync(path).mode & 0o777, 0o600)
})

for (const [what, bytes] of [
  ['no JSON', 'GET / HTTP/1.1\r\n\r\n'],
  [
    'a request without a MAC',
    '{"kind":"request","request":1,"scope":{"kind":"router","routerId":"r"},"sourceIp":"10.0.0.1"}\n',
  ],
  ['a line without an end', 'x'.repeat(longestLeaseLine.ofWorker + 1)],
] as const) {
  t.test(`LeaseListener hangs up on ${what}`, async (t) => {
    const { issuer, path } = await stage(t)
    const socket = await connected(path)
    t.equal(issuer.holders, 1)
    socket.write(bytes)
    await once(socket, 'close')
    while (issuer.holders > 0) await turn()
    t.pass('and forgets it')
  })
}

t.test('LeaseListener cuts off a worker that does not read', async (t) => {
  const { clock, issuer, path } = await stage(t)
  const socket = await connected(path)
  socket.pause()
  for (let beat = 0; issuer.holders > 0; beat += 1) {
    if (beat > 500_000) break
    clock.pass(0)
    issuer.revokeAll()
    if (beat % 1_000 === 0) await turn()
  }
  t.equal(issuer.holders, 0)
  socket.destroy()
})

t.test('LeaseListener ends every connection and removes its file when it closes', async (t) => {
  const { listener, path } = await stage(t)
  const socket = await connected(path)
  socket.resume()
  t.match(listener.readiness(), { ready: true, detail: '1 workers' })
  await listener.close()
  await once(socket, 'close')
  t.throws(() => statSync(path))
  t.equal(listener.readiness().ready, false)
})
