import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { startDevCompute } from '../../../agent-side/compute-dev/serve.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ask, runDevCompute, signedHeaders } from '../../support/dev-compute.ts'
import { makeWatchedFile } from '../../support/static-file.ts'

const headers = signedHeaders('web-1', 'a')
const meta = '/openstack/latest/meta_data.json'

t.test('The compute-dev API fails as its file gives', async (t) => {
  const clock = new FakeClock()
  const compute = await runDevCompute(
    `
instances: [{id: web-1, project: a}, {id: web-2, project: a}]
compute:
  faults:
  - {path: '/meta_data.json$', status: 503, times: 2, headers: {Retry-After: '1'}, body: busy}
  - {instance: web-2, reset: true, times: 1}
  - {path: 'vendor_data2.json$', delay: 4}
`,
    clock,
  )
  t.teardown(() => compute.closeAll())
  for (let time = 0; time < 2; time += 1) {
    const reply = await ask(compute.url, meta, { headers })
    t.strictSame([reply.status, reply.text, reply.headers['retry-after']], [503, 'busy', '1'])
  }
  t.equal((await ask(compute.url, meta, { headers })).status, 200, 'used up')
  await t.rejects(ask(compute.url, '/latest', { headers: signedHeaders('web-2', 'a') }))
  t.equal((await ask(compute.url, '/latest', { headers: signedHeaders('web-2', 'a') })).status, 200)

  const waiting = clock.waiting
  const late = ask(compute.url, '/openstack/latest/vendor_data2.json', { headers })
  await clock.untilWaiting(waiting + 1)
  t.ok(clock.pending.includes(4_000))
  await clock.advance(4_000)
  t.equal((await late).status, 200)
  t.strictSame(
    compute.requests().map((one) => one.status),
    [503, 503, 200, 0, 200, 200],
  )
})

t.test('The compute-dev API remembers what it received, and over which connection', async (t) => {
  const compute = await runDevCompute('instances: [{id: web-1, project: a}]')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(async () => {
    agent.destroy()
    await compute.closeAll()
  })
  await ask(compute.url, '/latest?x=1', { headers, agent })
  await ask(compute.url, '//latest', { headers, agent })
  await ask(compute.url, '/latest', { method: 'POST', headers: {} })
  t.match(compute.requests(), [
    { connection: 1, method: 'GET', target: '/latest?x=1', headers, status: 200 },
    { connection: 1, method: 'GET', target: '//latest', headers, status: 200 },
    { connection: 2, method: 'POST', target: '/latest', status: 400 },
  ])
  t.ok(compute.requests()[0]?.rawHeaders.includes('x-instance-id'))
  t.equal(compute.connections(), 2)
  compute.forgetRequests()
  t.strictSame(compute.requests(), [])
})

t.test('The compute-dev API follows its file, and keeps the last good one', async (t) => {
  const compute = await runDevCompute('instances: [{id: web-1, project: a, name: one}]')
  t.teardown(() => compute.closeAll())
  const name = async (): Promise<string> =>
    (await ask(compute.url, '/latest/meta-data/hostname', { headers })).text
  t.equal(await name(), 'one.novalocal')
  await compute.watched.replace(
    'compute: {dhcp_domain: ""}\ninstances: [{id: web-1, project: a, name: two}]',
  )
  await compute.reload()
  t.equal(await name(), 'two')
  await compute.watched.replace('instances: {')
  await compute.reload()
  t.equal(await name(), 'two')
})

t.test('startDevCompute() listens on a UNIX socket and removes it', async (t) => {
  const watched = await makeWatchedFile()
  t.teardown(() => watched.remove())
  await watched.replace('compute: {shared_secret: s3cr3t}\ninstances: [{id: web-1, project: a}]')
  const socket = join(watched.folder, 'compute.sock')
  const compute = await startDevCompute({
    file: watched.file,
    listen: { socket },
    clock: systemClock,
    logger: silentLogger,
  })
  t.teardown(() => compute.close())
  t.equal(compute.url, socket)
  const asked = request({ socketPath: socket, path: '/latest', headers, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  t.equal(response.statusCode, 200)
  await compute.close()
  await compute.close()
  t.notOk(existsSync(socket))
})

t.test('startDevCompute() refuses what cannot be right', async (t) => {
  const watched = await makeWatchedFile()
  t.teardown(() => watched.remove())
  const { file } = watched
  const options = { file, clock: systemClock, logger: silentLogger, secret: new Secret('x') }
  const listen = { host: '127.0.0.1', tcpPort: 0 }
  await t.rejects(
    startDevCompute({ ...options, listen: { host: '0.0.0.0', tcpPort: 0 } }),
    RangeError,
  )
  await t.rejects(startDevCompute({ ...options, listen }), /ENOENT/)
  await watched.replace('instances: [{id: web-1}]')
  await t.rejects(startDevCompute({ ...options, listen }), /expected a project/)
  await watched.replace('instances: []')
  const { secret, ...withoutSecret } = options
  t.ok(secret)
  await t.rejects(startDevCompute({ ...withoutSecret, listen }), /shared_secret/)
})
