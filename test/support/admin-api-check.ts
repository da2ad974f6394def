/** Does a daemon answer what is described? Every answer is held to its schema, field by field. */
import type { Test } from 'tap'
import type { Daemon } from '../../lib/config/defaults.ts'
import { requestAdmin, type AdminAddress } from '../../lib/http/admin-client.ts'
import { readEvents } from '../../lib/http/event-reader.ts'
import type { ApiEndpoint } from '../../lib/operator/api/endpoint.ts'
import { apis } from '../../lib/operator/api/openapi.ts'

/** One thing to ask, and the status of the answer. */
export type ApiCase = readonly [
  method: 'get' | 'post',
  path: string,
  status: number,
  json?: unknown,
]

/** Asks everything and checks each answer; then whether every endpoint was asked. */
export async function checkAdminApi(
  t: Test,
  daemon: Daemon,
  address: AdminAddress,
  cases: readonly ApiCase[],
): Promise<void> {
  const asked = new Set<ApiEndpoint>()
  for (const [method, path, status, json] of cases) {
    const name = `${daemon} ${method} ${path} ${status}`
    const endpoint = apis[daemon].find(
      (one) => one.method === method && one.path === path.replace(/\?.*/, ''),
    )
    const expected = endpoint?.answers[status]
    if (endpoint === undefined || expected === undefined) {
      t.fail(`${name} is not described`)
      continue
    }
    if (status === 200) asked.add(endpoint)
    const answer = await requestAdmin(address, path, json === undefined ? {} : { json })
    t.equal(answer.status, status, name)
    if ('contentType' in expected) {
      t.ok(answer.contentType.startsWith(expected.contentType), name)
    } else {
      const { error } = expected.safeParse(JSON.parse(answer.body))
      t.equal(error?.message, undefined, name)
    }
  }
  const unasked = apis[daemon].filter((one) => !asked.has(one) && one.path !== '/events')
  t.strictSame(
    unasked.map(({ method, path }) => `${method} ${path}`),
    [],
    'every endpoint was asked',
  )
}

/** Watches one request and checks its form. @param ask sends one */
export async function checkEvents(
  t: Test,
  daemon: Daemon,
  address: AdminAddress,
  ask: () => Promise<unknown>,
): Promise<void> {
  const expected = apis[daemon].find(({ path }) => path === '/events')?.answers[200]
  const schema = expected !== undefined && 'contentType' in expected ? expected.of : undefined
  const ending = new AbortController()
  const stream = readEvents(address, '/events', ending.signal)
  t.match((await stream.next()).value, { kind: 'watching' })
  await ask()
  const { value } = await stream.next()
  t.match(value, { kind: 'request' })
  t.equal(schema?.safeParse(value && value.data).error?.message, undefined, `${daemon} /events`)
  ending.abort()
}
