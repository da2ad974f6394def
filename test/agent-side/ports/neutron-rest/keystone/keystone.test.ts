import t from 'tap'
import type { Authentication } from '../../../../../agent-side/ports/neutron-rest/keystone/authentication.ts'
import { Secret } from '../../../../../lib/runtime/secret.ts'
import { guests, networks } from '../../../../conformance/overlapping-topology.ts'
import { find, identities } from '../../../../conformance/port-questions.ts'
import { ip } from '../../../../conformance/topology.ts'
import {
  answering,
  fakeCredential,
  fakeUser,
  type FakeNeutron,
} from '../../../../support/fake-neutron.ts'
import {
  neutronRestSubject,
  type SubjectOptions,
} from '../../../../support/neutron-rest-subject.ts'

const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }

function withPassword(neutron: FakeNeutron, password: string = fakeUser.password): Authentication {
  return {
    kind: 'password',
    authUrl: neutron.authUrl,
    as: { user: { name: fakeUser.name }, domain: { name: fakeUser.domain } },
    password: new Secret(password),
    scope: { kind: 'project', project: { name: 'service' }, domain: { name: 'Default' } },
  }
}

function keystoneSubject(
  overrides: Omit<SubjectOptions, 'config'> & {
    readonly authentication?: (neutron: FakeNeutron) => Authentication
    readonly region?: string
  } = {},
): SubjectOptions {
  return {
    ...overrides,
    neutron: { keystone: true, ...overrides.neutron },
    config: (neutron) => {
      const authentication = overrides.authentication?.(neutron) ?? withPassword(neutron)
      return {
        authentication,
        // Nobody listens there: the catalog has to be used.
        endpoint: undefined as unknown as string,
        ...(overrides.region !== undefined && { region: overrides.region }),
      }
    },
  }
}

function tokensAsked(neutron: FakeNeutron): number {
  return neutron.requests.filter((seen) => seen.path === '/v3/auth/tokens').length
}

const kinds: Readonly<Record<string, (neutron: FakeNeutron) => Authentication>> = {
  'a password': withPassword,
  'an application credential': (neutron) => ({
    kind: 'application-credential',
    authUrl: neutron.url,
    credential: { id: fakeCredential.id },
    secret: new Secret(fakeCredential.secret),
  }),
  'an application credential by name': (neutron) => ({
    kind: 'application-credential',
    authUrl: `${neutron.url}/v2.0/`,
    credential: { name: 'overlapd' },
    as: { user: { id: 'user-1' } },
    secret: new Secret(fakeCredential.secret),
  }),
  'a token': (neutron) => ({
    kind: 'token',
    authUrl: `${neutron.url}/v3/`,
    token: new Secret('given-token'),
    scope: { kind: 'default' },
  }),
}

for (const [what, authentication] of Object.entries(kinds)) {
  t.test(`Keystone gives a token for ${what}, and Neutron is found in the catalog`, async (t) => {
    const { neutron, directory } = await neutronRestSubject(t, keystoneSubject({ authentication }))
    t.strictSame(identities(await find(directory, query)), identities([guests.plain]))
    t.equal(tokensAsked(neutron), 1)
  })
}

t.test('the token request scopes a password and leaves a credential as it is', async (t) => {
  const bodies: Record<string, unknown> = {}
  for (const [what, authentication] of Object.entries(kinds)) {
    const { neutron } = await neutronRestSubject(t, keystoneSubject({ authentication }))
    bodies[what] = JSON.parse(neutron.requests[0]?.body ?? '')
  }
  t.strictSame(bodies['a password'], {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: 'metadata', domain: { name: 'Default' }, password: 'right' } },
      },
      scope: { project: { name: 'service', domain: { name: 'Default' } } },
    },
  })
  t.strictSame(bodies['an application credential by name'], {
    auth: {
      identity: {
        methods: ['application_credential'],
        application_credential: { name: 'overlapd', secret: 'app-secret', user: { id: 'user-1' } },
      },
    },
  })
})

t.test('a token is renewed before it expires, whatever the wall clock does', async (t) => {
  const { neutron, directory, clock } = await neutronRestSubject(
    t,
    keystoneSubject({ neutron: { tokenSeconds: 1_000 } }),
  )
  await find(directory, query, 'fresh')
  clock.jumpWallTime(86_400_000)
  await find(directory, query, 'fresh')
  clock.jumpWallTime(-2 * 86_400_000)
  await find(directory, query, 'fresh')
  t.equal(tokensAsked(neutron), 1)
  await clock.advance(899_000)
  await find(directory, query, 'fresh')
  t.equal(tokensAsked(neutron), 1, 'nine tenths of its life')
  await clock.advance(2_000)
  await find(directory, query, 'fresh')
  t.equal(tokensAsked(neutron), 2)
})

t.test('a token that Neutron refuses is replaced once', async (t) => {
  const { neutron, directory, refusal } = await neutronRestSubject(t, keystoneSubject())
  neutron.revokeTokens()
  t.strictSame(identities(await find(directory, query, 'fresh')), identities([guests.plain]))
  t.equal(tokensAsked(neutron), 2)

  neutron.intervene(answering(401))
  const error = await refusal(find(directory, query, 'fresh'))
  t.equal(error.code, 'directory_unavailable')
  t.match(error.message, 'does not accept our token')
  t.equal(tokensAsked(neutron), 3)
})

t.test('many askers after a revoked token cost one new token', async (t) => {
  const { neutron, directory } = await neutronRestSubject(t, keystoneSubject())
  neutron.revokeTokens()
  const which = [networks.plain, networks.isolated, networks.twinOne]
  await Promise.all(
    which.flatMap((networkId) => [
      find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.10') }, 'fresh'),
      find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.11') }, 'cached'),
    ]),
  )
  t.equal(tokensAsked(neutron), 2)
})

t.test(
  'a wrong password is reported, not repeated for every guest, and can be mended',
  async (t) => {
    const { neutron, directory, clock, refusal } = await neutronRestSubject(
      t,
      keystoneSubject({ ready: false, authentication: (n) => withPassword(n, 'wrong') }),
    )
    const error = await refusal(find(directory, query))
    t.equal(error.code, 'directory_unavailable')
    t.match(error.message, 'the credentials are wrong')
    t.notMatch(JSON.stringify([error.message, error.details]), 'wrong"')
    t.equal(directory.readiness().ready, false)
    t.match(directory.readiness().detail, '401')
    for (let second = 0; second < 60; second += 1) {
      await refusal(find(directory, query))
      await clock.advance(1_000)
    }
    t.ok(tokensAsked(neutron) <= 7, `${tokensAsked(neutron)} attempts in a minute`)
  },
)

const brokenTokens = {
  'no JSON': [201, { 'x-subject-token': 't' }, 'oops'],
  'no token header': [201, {}, '{"token": {}}'],
  'no times': [201, { 'x-subject-token': 't' }, '{"token": {}}'],
  'a life that is over': [
    201,
    { 'x-subject-token': 't' },
    '{"token": {"issued_at": "2026-01-01T00:00:01Z", "expires_at": "2026-01-01T00:00:00Z"}}',
  ],
  'no catalog': [
    201,
    { 'x-subject-token': 't' },
    '{"token": {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T01:00:00Z"}}',
  ],
  'status 500': [500, {}, ''],
  'status 200': [200, { 'x-subject-token': 't' }, '{}'],
} as const

for (const [what, [status, headers, body]] of Object.entries(brokenTokens)) {
  t.test(`an answer of Keystone with ${what} is refused`, async (t) => {
    const subject = await neutronRestSubject(t, keystoneSubject({ ready: false }))
    subject.neutron.intervene(answering(status, headers, body, '/v3/auth/tokens'))
    const error = await subject.refusal(find(subject.directory, query))
    t.equal(error.code, 'directory_unavailable')
  })
}

t.test('a catalog with two regions needs a region, and then takes that one', async (t) => {
  const regions = ['RegionOne', 'RegionTwo']
  const without = await neutronRestSubject(
    t,
    keystoneSubject({ ready: false, neutron: { regions } }),
  )
  const error = await without.refusal(find(without.directory, query))
  t.match(error.message, '2 usable network endpoints')
  const { directory } = await neutronRestSubject(
    t,
    keystoneSubject({ region: 'RegionOne', neutron: { regions } }),
  )
  t.equal((await find(directory, query)).length, 1)
})

t.test('a user who sees only its own project shows in readiness', async (t) => {
  const { neutron, directory, clock } = await neutronRestSubject(t)
  t.notMatch(directory.readiness().detail, 'own projects only')
  neutron.ports.rows = neutron.ports.rows.map((row) => ({ ...row, 'binding:host_id': undefined }))
  await clock.advance(20_000)
  await directory.interfacesOfRouter('r' as never, {
    signal: new AbortController().signal,
    freshness: 'cached',
  })
  t.match(directory.readiness().detail, 'own projects only')
})
