// Behind haproxy, guests that announced a body and did not send it held all of the agent's slots at compute for a minute. Right: a
// request goes to compute when its body is here.
import { connect } from 'node:net'
import t from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

t.test('guests that send slowly leave the slots to their neighbours', async (t) => {
  const upstream = await RecordingUpstream.start((request, response) => {
    response.end(request.body)
  })
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [upstream.url],
    config: { compute: { concurrency: 4, concurrency_start: 4, concurrency_min: 4 } },
  })
  const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  for (let count = 0; count < 8; count += 1) {
    const socket = connect(agent.socketOf('overlapd'))
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    await new Promise((sent) =>
      socket.write(`POST /slow HTTP/1.1\r\n${lines}Content-Length: 10\r\n\r\nhalf`, sent),
    )
  }
  // Whoever is served second finds all that was sent before it under way.
  t.equal((await agent.ask('/', guestFields))?.status, 200)
  t.equal((await agent.ask('/', guestFields))?.status, 200)
  t.match(await agent.text('/metrics'), /^overlapd_agent_compute_running 0$/m)
  const whole = await agent.ask('/', guestFields, { method: 'POST', body: 'whole' })
  t.equal(whole?.body.toString(), 'whole')
})
