// A broken worker's nonsense on the lease socket wrote a warning for each connection: 2,112 lines for 2,343. Right: one line in ten
// seconds says how many there were, as for other refusals, and a counter has them all.
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { startAgentForOneGuest } from '../support/one-guest.ts'

t.test('nonsense on the lease socket is logged once, and counted', async (t) => {
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: ['http://127.0.0.1:9'],
    config: { leases: { enabled: true, socket: 'lease.sock', mode: '0600' } },
  })
  const path = join(agent.folder, 'lease.sock')

  for (let count = 0; count < 50; count += 1) {
    const worker = connect(path)
    worker.on('error', () => undefined)
    worker.resume()
    worker.write('GET / HTTP/1.1\r\n\r\n')
    await new Promise((closed) => worker.once('close', closed))
  }

  const warnings = agent.log.filter(({ why }) => why === 'lease_message')
  t.equal(warnings.length, 1)
  const metrics = await agent.text('/metrics')
  t.match(metrics, 'overlapd_agent_refused_connections_total{why="lease_message"} 50')
})
