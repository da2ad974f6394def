/** Does each way to log in work with the real Keystone, and what happens when a login is wrong, withdrawn or over? */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uniqueName } from '../support/netns.ts'
import { runningCloud, type Guest } from './cloud.ts'
import { KeystoneApi } from './keystone-api.ts'
import { instanceIn, secretFile, startAgent, type AgentAnswer, type OurAgent } from './overlapd.ts'
import { addResult } from './results.ts'
import { keystoneLogin } from './services/keystone.ts'
import { TappedRelay } from './tapped-relay.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, guests, keystone } = runningCloud()
const compute = await startTellingCompute(t, place)
const login = keystoneLogin(place)
const admin = await KeystoneApi.logIn(login)
const { auth_url: authUrl } = login
const credential = keystone.applicationCredential

interface Way {
  readonly ports: object
  readonly environment?: Readonly<Record<string, string>>
}

const inFile = (text: string): string => secretFile(place, uniqueName('keystone-'), text)
const names = { user_domain_name: 'Default', project_domain_name: 'Default' }
const inClouds = { OS_CLIENT_CONFIG_FILE: join(place.folder, 'clouds.yaml') }

/** Every way that README.md of neutron-rest names, by its `ports.neutron_rest`. */
const ways: Readonly<Record<string, Way>> = {
  password: {
    ports: {
      auth_type: 'password',
      auth_url: authUrl,
      username: login.username,
      password_file: inFile(login.password),
      project_name: login.project_name,
      ...names,
    },
  },
  'password, by ids': {
    ports: {
      auth_type: 'password',
      auth_url: authUrl,
      user_id: admin.userId,
      password_file: inFile(login.password),
      project_id: admin.projectId,
    },
  },
  'application credential': {
    ports: {
      auth_type: 'application_credential',
      auth_url: authUrl,
      application_credential_id: credential.id,
      application_credential_secret_file: inFile(credential.secret),
    },
  },
  'application credential, by name': {
    ports: {
      auth_type: 'application_credential',
      auth_url: authUrl,
      application_credential_name: 'overlapd',
      username: login.username,
      user_domain_name: 'Default',
      application_credential_secret_file: inFile(credential.secret),
    },
  },
  token: {
    ports: {
      auth_type: 'token',
      auth_url: authUrl,
      token_file: inFile(admin.token),
      project_name: login.project_name,
      project_domain_name: 'Default',
    },
  },
  'clouds.yaml': {
    ports: { cloud: 'openstack', clouds_file: inClouds.OS_CLIENT_CONFIG_FILE },
  },
  'clouds.yaml by OS_CLOUD': { ports: {}, environment: { ...inClouds, OS_CLOUD: 'openstack' } },
  'OS_* with a password': {
    ports: { auth_type: 'environment' },
    environment: {
      OS_AUTH_URL: authUrl,
      OS_USERNAME: login.username,
      OS_PASSWORD: login.password,
      OS_PROJECT_NAME: login.project_name,
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PROJECT_DOMAIN_NAME: 'Default',
      OS_REGION_NAME: 'RegionOne',
      OS_INTERFACE: 'internal',
    },
  },
  'OS_* with a credential': {
    ports: { auth_type: 'environment' },
    environment: {
      OS_AUTH_TYPE: 'v3applicationcredential',
      OS_AUTH_URL: authUrl,
      OS_APPLICATION_CREDENTIAL_ID: credential.id,
      OS_APPLICATION_CREDENTIAL_SECRET: credential.secret,
    },
  },
}

function start(t: Test, { ports, environment = {} }: Way): OurAgent {
  return startAgent(t, place, {
    ports: { kind: 'neutron-rest', neutron_rest: ports },
    upstreams: [compute],
    environment,
  })
}

async function ask(agent: OurAgent, guest: Guest): Promise<AgentAnswer> {
  const { network, instance } = guest
  return await agent.ask('ml2', {
    'x-forwarded-for': instance.port.ip,
    ...(network.routerId === undefined
      ? { 'x-neutron-network-id': network.id }
      : { 'x-neutron-router-id': network.routerId }),
  })
}

/** How many requests for a token ended like this. */
async function tokens(agent: OurAgent, outcome: 'answered' | 'rejected'): Promise<number> {
  const name = 'overlapd_directory_queries_total'
  return await agent.metric(`${name}{directory="neutron-rest",kind="token",outcome="${outcome}"}`)
}

async function detail(agent: OurAgent): Promise<string> {
  const { parts } = await agent.readiness()
  return parts.find(({ name }) => name === 'directory')?.detail ?? ''
}

const isRefusal = ({ status, retryAfter }: AgentAnswer): boolean =>
  status === 503 && retryAfter !== undefined

for (const [way, given] of Object.entries(ways)) {
  t.test(`logs in by ${way}`, async (t) => {
    const agent = start(t, given)
    await agent.untilReady()
    let own = 0
    for (const guest of guests) {
      const instance = instanceIn(await ask(agent, guest))
      if (t.equal(instance, guest.instance.id, guest.name)) own += 1
    }
    t.equal(await tokens(agent, 'answered'), 1, 'one token is enough')
    addResult(place, 'Logging in to Keystone', { by: way, 'guests that got their own': own })
  })
}

t.test('a wrong password is reported, not tried for every guest, and can be mended', async (t) => {
  const name = uniqueName('reader-')
  const id = await admin.user(name, 'right', 'admin', admin.projectId)
  const agent = start(t, {
    ports: {
      auth_type: 'password',
      auth_url: authUrl,
      username: name,
      password_file: inFile('wrong'),
      project_name: login.project_name,
      ...names,
    },
  })
  await agent.until('the refusal', async () => (await detail(agent)).includes('answered 401'))
  t.equal((await agent.readiness()).ready, false)
  for (let count = 0; count < 50; count += 1) {
    const answer = await ask(agent, guests[0]!)
    t.ok(isRefusal(answer), `guests are told to come back: ${answer.status} ${answer.reason}`)
  }
  const failed = await tokens(agent, 'rejected')
  t.ok(failed <= 2, `Keystone was asked ${failed} times`)
  t.notMatch(agent.log(), /"(?:wrong|right)"/, 'no password in the log')
  await admin.send('PATCH', `/users/${id}`, { user: { password: 'wrong' } })
  await agent.until('ready', async () => (await agent.readiness()).ready, 120_000)
  t.equal(instanceIn(await ask(agent, guests[0]!)), guests[0]!.instance.id, 'without a restart')
  addResult(place, 'Logins that fail', {
    what: 'wrong password',
    'guests get meanwhile': '503 with Retry-After',
    'questions to Keystone': failed,
    afterwards: 'the password was set right: served',
  })
})

t.test('a token that is withdrawn is replaced', async (t) => {
  const name = uniqueName('reader-')
  const id = await admin.user(name, 'secret', 'admin', admin.projectId)
  const relay = await TappedRelay.open(t, place.tcpPorts.neutronKeystone)
  const agent = start(t, {
    ports: {
      auth_type: 'password',
      auth_url: authUrl,
      username: name,
      password_file: inFile('secret'),
      project_name: login.project_name,
      ...names,
      endpoint: `http://127.0.0.1:${relay.tcpPort}`,
      max_age: '0s',
    },
  })
  await agent.untilReady()
  const [guest] = guests
  t.equal(instanceIn(await ask(agent, guest!)), guest!.instance.id, 'before')
  const refused = relay.passed(' 401 Unauthorized')
  let hasRefused = false
  void refused.then(() => (hasRefused = true))
  for (const enabled of [false, true]) {
    await admin.send('PATCH', `/users/${id}`, { user: { enabled } })
  }
  const seen = new Set<string>()
  await agent.until('Neutron refuses the old token, and takes a new one', async () => {
    const answer = await ask(agent, guest!)
    seen.add(isRefusal(answer) ? '503' : (instanceIn(answer) ?? `${answer.status}`))
    return hasRefused && instanceIn(answer) === guest!.instance.id
  })
  t.ok((await tokens(agent, 'answered')) >= 2, 'there is a second token')
  // Within the second in which tokens are withdrawn, Keystone withdraws new ones too.
  seen.delete('503')
  t.strictSame([...seen], [guest!.instance.id], 'nothing but the own instance or 503')
  addResult(place, 'Logins that fail', {
    what: 'token withdrawn',
    'guests get meanwhile': 'their own, or 503 with Retry-After',
    'questions to Keystone': await tokens(agent, 'answered'),
    afterwards: 'a new token: served',
  })
})

t.test('when a credential is over, who is known is served and others wait', async (t) => {
  const secret = 'for a moment'
  const life = 8_000
  const id = await admin.make(
    `/users/${admin.userId}/application_credentials`,
    'application_credential',
    {
      name: uniqueName('short-'),
      secret,
      expires_at: new Date(Date.now() + life).toISOString().slice(0, -1),
    },
  )
  const agent = start(t, {
    ports: {
      auth_type: 'application_credential',
      auth_url: authUrl,
      application_credential_id: id,
      application_credential_secret_file: inFile(secret),
      max_age: '500ms',
    },
  })
  await agent.untilReady()
  const [known, other] = guests
  t.equal(instanceIn(await ask(agent, known!)), known!.instance.id, 'before')
  await agent.until('the refusal', async () => {
    await ask(agent, known!)
    return (await detail(agent)).includes('answered 401')
  })
  t.equal(instanceIn(await ask(agent, known!)), known!.instance.id, 'who is known is served on')
  const answer = await agent.ask('ml2', {
    'x-forwarded-for': '10.0.0.77',
    'x-neutron-network-id': other!.network.id,
  })
  t.ok(isRefusal(answer), `who is not is told to come back: ${answer.status} ${answer.reason}`)
  addResult(place, 'Logins that fail', {
    what: 'credential expired',
    'guests get meanwhile': 'known: their own; others: 503 with Retry-After',
    'questions to Keystone': (await tokens(agent, 'answered')) + (await tokens(agent, 'rejected')),
    afterwards: '',
  })
})

t.test('a user who sees one project only is reported', async (t) => {
  const name = uniqueName('member-')
  await admin.user(name, 'secret', 'member', keystone.projectA)
  const agent = start(t, {
    ports: {
      auth_type: 'password',
      auth_url: authUrl,
      username: name,
      password_file: inFile('secret'),
      project_id: keystone.projectA,
      user_domain_name: 'Default',
    },
  })
  await agent.until('the hint', async () => (await detail(agent)).includes('own projects only'))
  const [a, b] = guests
  const answers = [await ask(agent, a!), await ask(agent, b!)]
  t.ok([undefined, a!.instance.id].includes(instanceIn(answers[0]!)), 'a is a or nobody')
  t.match(answers[1], { status: 404 }, 'b is nobody, and never a')
})
