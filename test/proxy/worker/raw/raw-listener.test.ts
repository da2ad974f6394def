import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { listenSocket } from '../../../../lib/linux/libc.ts'
import { ownEnd } from '../../../../proxy/netns/socket-ends.ts'
import { restoreNonBlocking } from '../../../../proxy/linux/non-blocking.ts'
import { openListener } from '../../../../proxy/worker/guest/open-listener.ts'
import { RawListener } from '../../../../proxy/worker/raw/raw-listener.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { loopOf } from '../../../support/raw-loop.ts'
import { until } from '../../../support/until.ts'

const shortages: Readonly<Record<string, number>> = {
  ENFILE: -23,
  EMFILE: -24,
  ENOMEM: -12,
  ENOBUFS: -105,
}

for (const [name, errno] of Object.entries(shortages)) {
  t.test(`a listener on which accept fails with ${name} is left alone for a moment`, async (t) => {
    const loop = loopOf(t)
    const fd = openListener('127.0.0.1', 0)
    listenSocket(fd, 8)
    restoreNonBlocking(fd)
    const clock = new FakeClock()
    let failures = 0
    let accepted = 0
    let calls = 0
    const { accept } = loop.calls
    loop.calls.accept = () => {
      calls += 1
      return errno
    }
    const listener = new RawListener(loop, fd, {
      clock,
      failed: () => (failures += 1),
      accepted: (each) => {
        accepted += 1
        closeSync(each)
      },
    })
    t.teardown(() => listener.close())
    const guest = connect({ port: ownEnd(fd)!.tcpPort, host: '127.0.0.1' })
    guest.on('error', () => undefined)
    t.teardown(() => guest.destroy())
    await once(guest, 'connect')

    await until(() => failures === 1)
    const before = calls
    for (let count = 0; count < 100; count += 1) await turn()
    t.equal(calls, before, 'the loop has nothing to do')
    await clock.advance(50)
    await until(() => failures === 2)
    t.equal(accepted, 0)

    loop.calls.accept = accept.bind(loop.calls)
    await clock.advance(50)
    await until(() => accepted === 1)
    t.equal(failures, 2)
  })
}

t.test('a listener that is closed meanwhile stays closed', async (t) => {
  const loop = loopOf(t)
  const fd = openListener('127.0.0.1', 0)
  listenSocket(fd, 8)
  restoreNonBlocking(fd)
  const clock = new FakeClock()
  let failures = 0
  loop.calls.accept = () => -105
  const options = { clock, failed: () => (failures += 1), accepted: () => undefined }
  const listener = new RawListener(loop, fd, options)
  const guest = connect({ port: ownEnd(fd)!.tcpPort, host: '127.0.0.1' })
  guest.on('error', () => undefined)
  t.teardown(() => guest.destroy())
  await until(() => failures === 1)
  listener.close()
  t.equal(clock.waiting, 0)
  t.equal(loop.size, 0)
})
