import t from 'tap'
import { FakeClock } from '../../support/fake-clock.ts'
import { ask, runDevCompute, signedHeaders, type Question } from '../../support/dev-compute.ts'

const path = '/openstack/latest/password'
const headers = signedHeaders('win-1', 'a')
const instances = 'instances: [{id: win-1, project: a}, {id: win-2, project: a, password: set}]'

function post(body: string | Buffer): Question {
  return {
    method: 'POST',
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
    body,
  }
}

t.test('The compute-dev API takes a password once', async (t) => {
  const compute = await runDevCompute(instances)
  t.teardown(() => compute.closeAll())
  const before = await ask(compute.url, path, { headers })
  t.strictSame([before.status, before.text, before.type], [200, '', 'text/html; charset=UTF-8'])
  const first = await ask(compute.url, path, post('cGFzc3dvcmQ='))
  t.strictSame([first.status, first.text], [200, ''])
  const stored = await ask(compute.url, '/openstack/2013-04-04/password', { headers })
  t.strictSame(
    [stored.status, stored.text, stored.type],
    [200, 'cGFzc3dvcmQ=', 'text/html; charset=UTF-8'],
  )
  t.equal((await ask(compute.url, path, post('again'))).status, 409)
  t.equal((await ask(compute.url, path, post('x'.repeat(2_000)))).status, 409, 'before the size')
  const other = await ask(compute.url, path, { headers: signedHeaders('win-2', 'a') })
  t.equal(other.text, 'set', 'the one of the file')
})

t.test('The compute-dev API limits what a password may be', async (t) => {
  const compute = await runDevCompute(instances)
  t.teardown(() => compute.closeAll())
  t.equal((await ask(compute.url, '/openstack/2012-08-10/password', post('x'))).status, 404)
  const large = await ask(compute.url, path, post('x'.repeat(1021)))
  t.equal(large.status, 400)
  t.match(large.text, 'Request is too large.')
  const chunked = await ask(compute.url, path, {
    method: 'POST',
    headers: { ...headers, 'transfer-encoding': 'chunked' },
    body: 'x',
  })
  t.equal(chunked.status, 500, 'no length')
  t.equal((await ask(compute.url, path, post(Buffer.from([0xff, 0xfe])))).status, 500)
  for (const method of ['PUT', 'DELETE', 'PATCH', 'HEAD']) {
    t.equal((await ask(compute.url, path, { method, headers })).status, 400, method)
  }
  t.equal((await ask(compute.url, path, { method: 'OPTIONS', headers })).status, 200, 'preflight')
  t.equal((await ask(compute.url, path, post(''))).status, 200)
  t.equal((await ask(compute.url, path, post('x'.repeat(1020)))).status, 200, 'empty was none')
  t.equal((await ask(compute.url, path, { headers })).text.length, 1020)
})

t.test('The compute-dev API is as stale as cache_seconds allows', async (t) => {
  const clock = new FakeClock()
  const compute = await runDevCompute(`compute: {cache_seconds: 15}\n${instances}`, clock)
  t.teardown(() => compute.closeAll())
  t.equal((await ask(compute.url, path, { headers })).text, '')
  t.equal((await ask(compute.url, path, post('one'))).status, 200)
  t.equal((await ask(compute.url, path, { headers })).text, '', 'not seen yet')
  t.equal((await ask(compute.url, path, post('two'))).status, 200, 'no conflict seen yet')
  await clock.advance(14_999)
  t.equal((await ask(compute.url, path, { headers })).text, '')
  await clock.advance(1)
  t.equal((await ask(compute.url, path, { headers })).text, 'two')
  t.equal((await ask(compute.url, path, post('three'))).status, 409)
  const seed = async (): Promise<string> =>
    (await ask(compute.url, '/openstack/latest/meta_data.json', { headers })).text
  t.not(await seed(), await seed(), 'random_seed is never cached')
})
