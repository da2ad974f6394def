import t from 'tap'
import { readFileSync, mkdtempSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guests, networks, routers } from '../../../conformance/overlapping-topology.ts'
import { find, identities, networksOf } from '../../../conformance/port-questions.ts'
import { ip } from '../../../conformance/topology.ts'
import { answering } from '../../../support/fake-neutron.ts'
import { neutronRestSubject } from '../../../support/neutron-rest-subject.ts'

const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }

const statuses = [
  [400, 'directory_unavailable', 1],
  [403, 'directory_unavailable', 1],
  [404, 'directory_unavailable', 1],
  [500, 'directory_unavailable', 1],
  [501, 'directory_unavailable', 1],
  [429, 'directory_unavailable', 3],
  [502, 'directory_unavailable', 3],
  [503, 'directory_unavailable', 3],
  [504, 'directory_timeout', 3],
  [302, 'directory_unavailable', 1],
] as const

for (const [status, code, times] of statuses) {
  t.test(`status ${status} of Neutron refuses with ${code}, sent ${times} times`, async (t) => {
    const { neutron, directory, refusal } = await neutronRestSubject(t)
    neutron.intervene(answering(status, { location: 'http://203.0.113.1/' }))
    const before = neutron.questions.length
    const error = await refusal(find(directory, query, 'fresh'))
    t.equal(error.code, code)
    t.equal(error.details['status'], status)
    t.match(error.message, String(status))
    const probes = neutron.questions.slice(before).filter((seen) => seen.query.has('network_id'))
    t.equal(probes.length, times)
  })
}

const broken = {
  'truncated JSON': '{"ports": [{"id": "c0000000',
  'no JSON': '<html>Service Unavailable</html>',
  'a list at the top': '[]',
  'no ports': '{"port": {}}',
  'ports that are a mapping': '{"ports": {}}',
  'a port that is text': '{"ports": ["c0000000-0000-4000-8000-000000000110"]}',
  'a port without id': `{"ports": [{"network_id": "${networks.plain}"}]}`,
  'a port without MAC': `{"ports": [{"id": "p", "network_id": "${networks.plain}", "fixed_ips": []}]}`,
  'a fixed IP that is none': `{"ports": [{"id": "p", "network_id": "n", "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [{"ip_address": "10.1"}]}]}`,
  'fixed IPs that are text': `{"ports": [{"id": "p", "network_id": "n", "mac_address": "fa:16:3e:00:00:01", "fixed_ips": "10.0.0.1"}]}`,
  nothing: '',
}

for (const [what, body] of Object.entries(broken)) {
  t.test(`an answer with ${what} is refused whole`, async (t) => {
    const { neutron, directory, refusal } = await neutronRestSubject(t)
    neutron.intervene(answering(200, { 'content-type': 'application/json' }, body))
    const error = await refusal(find(directory, query, 'fresh'))
    t.equal(error.code, 'directory_unavailable')
    t.match(error.message, 'Cannot read the answer')
  })
}

t.test('an answer that is longer than body_bytes is refused', async (t) => {
  const { neutron, directory, refusal } = await neutronRestSubject(t, {
    config: () => ({ bodyBytes: 65_536 }),
  })
  neutron.intervene(answering(200, {}, `{"ports": [], "pad": "${'x'.repeat(70_000)}"}`))
  const error = await refusal(find(directory, query, 'fresh'))
  t.equal(error.code, 'directory_unavailable')
  t.match(error.message, '65536 bytes')
})

t.test('a connection that breaks off is queried again, and succeeds', async (t) => {
  const { neutron, directory, driven } = await neutronRestSubject(t)
  let broken = 0
  neutron.intervene((_seen, response) => {
    if (broken === 2) return false
    broken += 1
    const { socket } = response
    if (broken === 1) socket?.destroy()
    else {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"ports":', () => socket?.destroy())
    }
    return true
  })
  const found = await driven(find(directory, query, 'fresh'))
  t.strictSame(identities(found), identities([guests.plain]))
  t.equal(broken, 2)
})

t.test('Retry-After of 429 is waited for', async (t) => {
  const { neutron, directory, clock, driven } = await neutronRestSubject(t)
  let asked = 0
  neutron.intervene((seen, response) => {
    if (!seen.query.has('network_id')) return false
    asked += 1
    return asked === 1 ? answering(429, { 'retry-after': '3' })(seen, response) : false
  })
  const began = clock.now()
  const found = await driven(find(directory, query, 'fresh'))
  t.strictSame(identities(found), identities([guests.plain]))
  t.ok(clock.now() - began >= 3_000)
  t.ok(clock.now() - began < 5_000)
})

t.test('a Retry-After beyond the patience of a question fails at once', async (t) => {
  const { neutron, directory, clock, refusal } = await neutronRestSubject(t)
  neutron.intervene(answering(503, { 'retry-after': '600' }))
  const began = clock.now()
  const error = await refusal(find(directory, query, 'fresh'))
  t.equal(error.code, 'directory_unavailable')
  t.ok(clock.now() - began < 1_000)
})

t.test('an answer that does not come is a directory_timeout after timeout_query', async (t) => {
  const { neutron, directory, clock, refusal } = await neutronRestSubject(t)
  const seen = new Promise<void>((resolve) => {
    neutron.intervene(() => {
      resolve()
      return true
    })
  })
  const refused = refusal(find(directory, query, 'fresh'))
  await seen
  await clock.advance(10_000)
  t.equal((await refused).code, 'directory_timeout')
})

t.test(
  'a caller that leaves gets the reason of his signal, and the others their answer',
  async (t) => {
    const { directory } = await neutronRestSubject(t)
    const leaving = new AbortController()
    const gone = new Error('guest disconnected')
    const left = Promise.resolve(
      directory.findPorts(query, { signal: leaving.signal, freshness: 'fresh' }),
    ).catch((thrown: unknown) => thrown)
    const staying = find(directory, query, 'fresh')
    leaving.abort(gone)
    t.equal(await left, gone)
    t.strictSame(identities(await staying), identities([guests.plain]))
  },
)

t.test('a server that ignores filters never makes a match on another network', async (t) => {
  const { neutron, directory } = await neutronRestSubject(t, {
    config: () => ({ prefetchRouterInterfaces: 0 }),
  })
  neutron.ports.ignoredFilters = [
    'network_id',
    'fixed_ips',
    'mac_address',
    'device_id',
    'device_owner',
  ]
  for (const which of ['plain', 'isolated', 'twinOne'] as const) {
    const one = { networkIds: [networks[which]], fixedIp: ip('10.0.0.10') }
    t.strictSame(identities(await find(directory, one)), identities([guests[which]]))
  }
  const absent = { networkIds: [networks.unknown], fixedIp: ip('10.0.0.10') }
  t.strictSame(await find(directory, absent), [])
  t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
  t.strictSame(await networksOf(directory, routers.withoutInterface), [])
})

t.test(
  'known networks are served from the copy while Neutron is away, up to max_stale',
  async (t) => {
    const { neutron, directory, clock, driven, refusal } = await neutronRestSubject(t)
    await find(directory, query, 'cached')
    await networksOf(directory, routers.plain, 'cached')
    const { asOf } = await driven(
      directory.findPorts(query, { signal: new AbortController().signal, freshness: 'cached' }),
    )
    await neutron.close()
    await clock.advance(30_000)
    const stale = await driven(
      directory.findPorts(query, { signal: new AbortController().signal, freshness: 'cached' }),
    )
    t.strictSame(identities(stale.ports), identities([guests.plain]))
    t.equal(stale.asOf, asOf, 'dated honestly')
    t.strictSame(await driven(networksOf(directory, routers.plain, 'cached')), [networks.plain])
    t.equal((await refusal(find(directory, query, 'fresh'))).code, 'directory_unavailable')
    t.equal(directory.readiness().ready, true)
    t.match(directory.readiness().detail, 'failed in a row')

    await clock.advance(31_000)
    t.equal((await refusal(find(directory, query, 'cached'))).code, 'directory_unavailable')

    await neutron.listen()
    await clock.advance(15_000)
    while (directory.readiness().detail.includes('failed')) await clock.advance(10)
    t.strictSame(identities(await find(directory, query, 'cached')), identities([guests.plain]))
  },
)

t.test(
  'while Neutron is in trouble it is queried ever more rarely, not by every guest',
  async (t) => {
    const { neutron, directory, clock, refusal } = await neutronRestSubject(t, {
      config: () => ({ attempts: 1 }),
    })
    neutron.intervene(answering(500))
    const before = neutron.questions.length
    for (let second = 0; second < 120; second += 1) {
      await refusal(find(directory, query, 'fresh'))
      await clock.advance(1_000)
    }
    const asked = neutron.questions.length - before
    t.ok(asked <= 40, `${asked} requests in two minutes for 120 guests`)
    t.ok(asked >= 5, `${asked} requests`)
  },
)

t.test(
  'the directory is not ready until Neutron has answered, and recovers by itself',
  async (t) => {
    const logged: string[] = []
    const logger = {
      debug: () => undefined,
      info: (_fields: unknown, message: string) => void logged.push(message),
      warn: (_fields: unknown, message: string) => void logged.push(message),
      error: () => undefined,
      isLevelEnabled: () => true,
      child: () => logger,
    }
    const { neutron, directory, clock } = await neutronRestSubject(t, {
      logger,
      ready: false,
      config: () => ({ attempts: 1 }),
    })
    neutron.intervene(answering(503))
    while (!directory.readiness().detail.includes('503')) await clock.advance(10)
    t.equal(directory.readiness().ready, false)
    neutron.intervene(undefined)
    await clock.advance(15_000)
    while (!directory.readiness().ready) await clock.advance(10)
    t.ok(logged.includes('Neutron cannot be queried'))
    t.ok(logged.includes('Neutron answers again'))
  },
)

t.test('413 and 414 cut the question until it fits', async (t) => {
  const { neutron, directory, driven } = await neutronRestSubject(t, {
    config: () => ({ prefetchPorts: 0 }),
  })
  const tooLong = 500
  for (const status of [413, 414]) {
    neutron.intervene((seen, response) =>
      seen.targetBytes > tooLong ? answering(status)(seen, response) : false,
    )
    const asking = [10, 11, 20, 21, 40, 77].map((last) =>
      find(directory, { networkIds: [networks.plain], fixedIp: ip(`10.0.0.${last}`) }, 'fresh'),
    )
    const found = await driven(Promise.all(asking))
    t.strictSame(
      found.map((ports) => ports.length),
      [1, 1, 1, 1, 1, 2],
    )
  }
})

t.test('TLS: the CA, a client certificate and the name are checked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
  const at = (name: string): string => join(folder, name)
  execFileSync(
    'openssl',
    // One self-signed certificate is CA, server and client at once.
    `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout ${at('key')} -out ${at('cert')}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  )
  const tls = {
    key: readFileSync(at('key')),
    cert: readFileSync(at('cert')),
    ca: readFileSync(at('cert')),
    requestCert: true,
    rejectUnauthorized: true,
  }
  const files = { caFile: at('cert'), certFile: at('cert'), keyFile: at('key'), insecure: false }
  const right = await neutronRestSubject(t, { neutron: { tls }, config: () => ({ tls: files }) })
  t.strictSame(identities(await find(right.directory, query)), identities([guests.plain]))

  const wrongs = {
    'without the CA': { certFile: at('cert'), keyFile: at('key'), insecure: false },
    'without a client certificate': { caFile: at('cert'), insecure: false },
  }
  for (const [what, wrong] of Object.entries(wrongs)) {
    const subject = await neutronRestSubject(t, {
      neutron: { tls },
      ready: false,
      config: () => ({ tls: wrong, attempts: 1 }),
    })
    const error = await subject.refusal(find(subject.directory, query))
    t.equal(error.code, 'directory_unavailable', what)
  }
})
