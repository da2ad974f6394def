import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { instanceId, projectId } from '../conformance/topology.ts'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { get } from '../support/raw-http.ts'

const port = guestPort(1)

t.test('a request under a lease is explained by its worker, without what is signed', async (t) => {
  const { directory, upstream, worker, agent } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  const answer = await worker.ask(port, `/latest/${'x'.repeat(250)}`)
  const id = String(answer.field('x-request-id'))

  t.match(await agent.json(`/explain?request=${id}`), { message: /overlapd-proxy explain/ })
  const record = await worker.findRequest(id)
  t.match(record, {
    requestId: id,
    method: 'GET',
    scope: `network/${port.networkId}`,
    sourceIp: '127.0.1.1',
    sourceMac: port.macAddress,
    instanceId: instanceId(1),
    projectId: projectId(1),
    upstream: upstream.url,
    outcome: 'relayed',
    status: 200,
  })
  t.equal(record?.target.length, 200)
  const signature = String(upstream.requests.at(-1)?.headers['x-instance-id-signature'])
  t.match(signature, /^[0-9a-f]{64}$/)
  t.notOk(JSON.stringify(record).includes(signature))
  t.equal(await worker.findRequest('another'), undefined)
})

t.test('what reached the agent in the end is explained by the agent', async (t) => {
  const { directory, upstream, worker, agent } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)
  upstream.answer = (_request, response) => void response.writeHead(404).end()
  const answer = await worker.ask(port)
  const id = String(answer.field('x-request-id'))

  t.equal(await worker.direct(), 1)
  const record = await worker.findRequest(id)
  t.match(record, { answeredBy: 'agent', outcome: 'relayed', status: 404 })
  t.notOk(record && 'instanceId' in record)
  t.match(await agent.json(`/explain?request=${id}`), { verdict: { status: 404 } })
})

t.test('an answer that broke off and a guest that left are explained as such', async (t) => {
  const { directory, upstream, worker } = await startLeasePair(t)
  directory.setPorts(port)
  directory.remember()
  await worker.askUntilLeased(port)

  const idIn = (text: Buffer): string => /x-request-id: (\S+)/i.exec(text.toString())?.[1] ?? ''
  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '8000' })
    response.write('x'.repeat(4_000), () => response.destroy())
  }
  const cut = await worker.connectAs(port)
  await cut.write(get('/latest/meta-data'))
  t.match(await worker.findRequest(idIn(await cut.rest())), {
    outcome: 'cut_off',
    status: 200,
    reason: 'compute_broken_answer',
  })

  upstream.answer = (_request, response) => {
    response.writeHead(200, { 'content-length': '8000' })
    response.write('x'.repeat(4_000))
  }
  const leaving = await worker.connectAs(port)
  await leaving.write(get('/latest/meta-data'))
  const id = idIn(await leaving.received(1_000))
  leaving.reset()
  while ((await worker.metric('overlapd_proxy_direct_running')) > 0) await turn()
  t.match(await worker.findRequest(id), { outcome: 'left', status: 200 })
})
