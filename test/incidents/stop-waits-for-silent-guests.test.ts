// A stop took its whole time limit for connections on which nothing, half a head or half a body had been sent, and DHCP namespaces
// refused meanwhile. Right: only what was asked holds a stop.
import t from 'tap'
import { get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

t.test('a drain ends without what was never requested, and with what was', async (t) => {
  const agent = await RecordingAgent.start()
  const worker = await startWorker({ agentSocket: agent.path })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })
  const guests: RawConnection[] = []
  for (const bytes of [
    '',
    'GET / HT',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na',
    // Refused, and not read further.
    'GET / HTTP/1.1\r\n\r\n',
  ]) {
    const guest = await RawConnection.open(worker.target)
    await guest.write(bytes)
    guests.push(guest)
  }
  const asking = await RawConnection.open(worker.target)
  agent.answer = () => undefined
  await asking.write(get('/slow'))
  const asked = await agent.recorded(1)

  const began = performance.now()
  worker.tell({ kind: 'drain', limit: 60_000 })
  await Promise.all(guests.map((guest) => guest.rest()))
  t.equal(worker.isRunning, true, 'an answer is under way')
  asked.socket.write(plainAnswer('late'))
  const answer = await asking.answer()
  await worker.told('drained')

  t.equal(answer?.body.toString(), 'late')
  t.ok(performance.now() - began < 30_000, 'not the whole limit')
})
