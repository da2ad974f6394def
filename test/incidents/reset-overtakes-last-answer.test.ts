// Bytes that came behind the last request of a connection, and were not read yet, made the kernel send a reset with the end of the
// answer: a client that is reset may throw away what it has not read. Right: the connection ends with its end.
import t from 'tap'
import { get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path })
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

t.test('what comes behind the last request resets nothing', async (t) => {
  let resets = 0
  // A worker that happens to be slow has read them: one time proves nothing.
  for (let time = 0; time < 20; time += 1) {
    const guest = await RawConnection.open(worker.target)
    agent.answer = () => {
      // In the worker's kernel before the answer is.
      guest.socket.write(time % 2 === 0 ? '\r\n' : get('/next'))
      return plainAnswer('whole')
    }
    void guest.write(get('/', 'Connection: close'))
    t.equal((await guest.answer())?.body.toString(), 'whole')
    t.equal((await guest.rest()).length, 0)
    await new Promise<void>((resolve) => guest.socket.end(resolve))
    if (guest.isReset) resets += 1
    guest.close()
  }
  t.equal(resets, 0)
})
