import t from 'tap'
import { ask, runDevCompute, signedHeaders } from '../../support/dev-compute.ts'

const file = `
compute: {vendordata_providers: []}
instances:
- {id: web-1, project: a}
- {id: web-2, project: b}
`
const good = signedHeaders('web-1', 'a')
const {
  'x-instance-id': id = '',
  'x-instance-id-signature': signature = '',
  'x-tenant-id': tenant = '',
} = good

type Headers = Readonly<Record<string, string>>

/** What is wrong with a request, its headers, and the answer: the first check that fails decides. */
const checks: readonly (readonly [string, Headers, number, string])[] = [
  ['nothing is given', {}, 400, 'X-Instance-ID header is missing from request.'],
  [
    'the id is missing, and the project',
    { 'x-instance-id-signature': signature },
    400,
    'X-Instance-ID header is missing from request.',
  ],
  [
    'the signature is missing, and the project',
    { 'x-instance-id': id },
    400,
    'X-Instance-ID-Signature header is missing from request.',
  ],
  [
    'the project is missing, and the signature wrong',
    { 'x-instance-id': id, 'x-instance-id-signature': 'x' },
    400,
    'X-Tenant-ID header is missing from request.',
  ],
  [
    'the signature is empty',
    { ...good, 'x-instance-id-signature': '' },
    403,
    'Invalid proxy request signature.',
  ],
  [
    'the signature is in upper case',
    { ...good, 'x-instance-id-signature': signature.toUpperCase() },
    403,
    'Invalid proxy request signature.',
  ],
  [
    'the signature is of another instance',
    { ...good, 'x-instance-id': 'web-2', 'x-tenant-id': 'b' },
    403,
    'Invalid proxy request signature.',
  ],
  [
    'the id is there twice',
    { ...good, 'x-instance-id': `${id},${id}` },
    403,
    'Invalid proxy request signature.',
  ],
  ['the instance is unknown', signedHeaders('web-3', 'a'), 404, 'The resource could not be found.'],
  [
    'the project is another one',
    signedHeaders('web-1', 'b'),
    404,
    'The resource could not be found.',
  ],
  ['the project is empty', { ...good, 'x-tenant-id': '' }, 404, 'The resource could not be found.'],
]

t.test('The compute-dev API refuses in the order of Nova', async (t) => {
  const compute = await runDevCompute(file)
  t.teardown(() => compute.closeAll())
  for (const [what, headers, status, message] of checks) {
    for (const target of ['/latest/meta-data/instance-id', '/openstack', '/nope']) {
      const reply = await ask(compute.url, target, { headers })
      t.strictSame([reply.status, reply.type], [status, 'text/html; charset=UTF-8'], what)
      t.ok(reply.text.includes(`\n  ${message}<br /><br />\n`), `${what}: ${message}`)
    }
  }
  const reply = await ask(compute.url, '/latest/meta-data/instance-id', { headers: good })
  t.strictSame([reply.status, reply.text], [200, 'i-00000001'])
  t.equal(tenant, 'a')
})

t.test('The compute-dev API answers refusals in the form of the Accept header', async (t) => {
  const compute = await runDevCompute(file)
  t.teardown(() => compute.closeAll())
  const plain = [
    'text/plain; charset=UTF-8',
    '404 Not Found\n\nThe resource could not be found.\n\n   ',
  ]
  const json = [
    'application/json',
    '{"message": "The resource could not be found.<br /><br />\\n\\n\\n", "code": "404 Not Found", "title": "Not Found"}',
  ]
  const page = [
    'text/html; charset=UTF-8',
    '<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>',
  ]
  const forms: readonly (readonly [string, readonly string[]])[] = [
    ['', plain],
    ['text/plain', plain],
    ['image/png', plain],
    ['application/json', json],
    ['application/json, */*;q=0.1', json],
    ['*/*', page],
    ['text/*', page],
    ['application/json, */*', page],
    ['application/vnd.coreos.ignition+json;version=3.6.0, */*;q=0.1', page],
  ]
  for (const [accept, [type, text]] of forms) {
    const reply = await ask(compute.url, '/nope', { headers: { ...good, accept } })
    t.strictSame([reply.type, reply.text], [type, text], `Accept: ${accept}`)
  }
})

t.test('The compute-dev API has no static vendor data without its provider', async (t) => {
  const compute = await runDevCompute(file)
  t.teardown(() => compute.closeAll())
  const listed = await ask(compute.url, '/openstack/latest', { headers: good })
  t.match(listed.text, /^vendor_data.json$/m, 'listed all the same')
  const one = await ask(compute.url, '/openstack/latest/vendor_data.json', { headers: good })
  t.equal(one.status, 404)
  const two = await ask(compute.url, '/openstack/latest/vendor_data2.json', { headers: good })
  t.strictSame([two.status, two.text], [200, '{}'])
})
