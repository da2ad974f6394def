import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AuthenticationProblem } from '../../../../../agent-side/ports/neutron-rest/keystone/authentication.ts'
import {
  cloudFromDocuments,
  findCloudFiles,
  readCloud,
} from '../../../../../agent-side/ports/neutron-rest/keystone/clouds-yaml.ts'
import { cloudFromEnvironment } from '../../../../../agent-side/ports/neutron-rest/keystone/os-environment.ts'
import { Secret } from '../../../../../lib/runtime/secret.ts'

const auth = {
  auth_url: 'https://keystone.example/v3',
  username: 'metadata',
  user_domain_name: 'Default',
  password: 'p',
  project_name: 'service',
  project_domain_name: 'Default',
}

function revealed(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal()
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revealed(inner)]))
}

const passwordOfAuth = {
  kind: 'password',
  authUrl: 'https://keystone.example/v3',
  as: { user: { name: 'metadata' }, domain: { name: 'Default' } },
  password: 'p',
  scope: { kind: 'project', project: { name: 'service' }, domain: { name: 'Default' } },
}

t.test('cloudFromDocuments() reads a cloud as the SDKs do', async (t) => {
  const clouds = {
    plain: { auth, region_name: 'RegionOne', interface: 'internal', cacert: '/ca.pem' },
    dashes: { auth: { ...auth, 'project-name': 'service' }, 'region-name': 'R', verify: false },
    beside: { ...auth, regions: [{ name: 'R1' }, 'R2'], endpoint_type: 'internalURL' },
    old: { auth: { ...auth, project_name: undefined, tenant_name: 'service' } },
    endpoint: { auth, network_endpoint_override: 'https://neutron.example', cert: '/c', key: '/k' },
  }
  const documents = { clouds: { clouds } }
  t.strictSame(revealed(cloudFromDocuments(documents, 'plain')), {
    authentication: passwordOfAuth,
    tls: { insecure: false, caFile: '/ca.pem' },
    region: 'RegionOne',
    endpointInterface: 'internal',
  })
  t.match(revealed(cloudFromDocuments(documents, 'dashes')), {
    authentication: passwordOfAuth,
    tls: { insecure: true },
    region: 'R',
  })
  t.match(revealed(cloudFromDocuments(documents, 'beside')), {
    authentication: passwordOfAuth,
    region: 'R1',
    endpointInterface: 'internal',
  })
  t.strictSame(revealed(cloudFromDocuments(documents, 'old').authentication), passwordOfAuth)
  t.match(cloudFromDocuments(documents, 'endpoint'), {
    endpoint: 'https://neutron.example',
    tls: { certFile: '/c', keyFile: '/k' },
  })
})

t.test('cloudFromDocuments() puts secure.yaml above and a profile below', async (t) => {
  const { password: _, ...withoutPassword } = auth
  const cloud = cloudFromDocuments(
    {
      clouds: { clouds: { mine: { profile: 'vendor', auth: withoutPassword } } },
      secure: { clouds: { mine: { auth: { password: 'from-secure' } } } },
      vendors: { 'public-clouds': { vendor: { region_name: 'V', auth: { username: 'x' } } } },
    },
    'mine',
  )
  t.equal(cloud.region, 'V')
  t.match(revealed(cloud.authentication), { password: 'from-secure' })
  t.match(cloud.authentication, { as: { user: { name: 'metadata' } } })
})

t.test('cloudFromDocuments() knows the ways to log in', async (t) => {
  const url = { auth_url: 'https://keystone.example' }
  const clouds = {
    app: {
      auth_type: 'v3applicationcredential',
      auth: { ...url, application_credential_id: 'i', application_credential_secret: 's' },
    },
    appByName: {
      auth: {
        ...url,
        application_credential_name: 'n',
        application_credential_secret: 's',
        user_id: 'u',
      },
    },
    token: { auth_type: 'token', auth: { ...url, token: 't', project_id: 'p' } },
    system: { auth: { ...auth, project_name: undefined, system_scope: 'all' } },
    none: { auth_type: 'none', network_endpoint_override: 'http://127.0.0.1:9696' },
  }
  const read = (name: string): unknown =>
    revealed(cloudFromDocuments({ clouds: { clouds } }, name).authentication)
  t.match(read('app'), { kind: 'application-credential', credential: { id: 'i' }, secret: 's' })
  t.match(read('appByName'), { credential: { name: 'n' }, as: { user: { id: 'u' } } })
  t.match(read('token'), { kind: 'token', token: 't', scope: { project: { id: 'p' } } })
  t.match(read('system'), { kind: 'password', scope: { kind: 'system' } })
  t.strictSame(read('none'), { kind: 'none' })
})

t.test('cloudFromDocuments() names what is missing, without a value', async (t) => {
  const cases = [
    [{}, 'there is no cloud "mine"'],
    [{ mine: {} }, 'auth_url is missing'],
    [{ mine: { auth: { ...auth, password: undefined } } }, 'password is missing'],
    [{ mine: { auth: { ...auth, username: '' } } }, 'username or user_id is missing'],
    [{ mine: { auth: { ...auth, user_domain_name: undefined } } }, 'user_domain_name'],
    [{ mine: { auth: { ...auth, auth_url: 'keystone' } } }, 'auth_url is not a URL'],
    [{ mine: { auth, auth_type: 'v3oidcpassword' } }, 'auth_type "v3oidcpassword" is not one of'],
    [{ mine: { auth, interface: 'private' } }, 'interface "private" is not one of'],
  ] as const
  for (const [clouds, message] of cases) {
    t.throws(() => cloudFromDocuments({ clouds: { clouds } }, 'mine'), {
      name: 'AuthenticationProblem',
      message: new RegExp(message),
    })
  }
})

t.test('findCloudFiles() looks where the SDKs look, in their order', async (t) => {
  const home = t.testdir({
    here: { 'clouds.yaml': '' },
    '.config': { openstack: { 'clouds.yaml': '', 'secure.yaml': '' } },
    elsewhere: { 'mine.yaml': '', 'secure.yaml': '' },
  })
  const here = join(home, 'here')
  const environment = { HOME: home }
  t.match(findCloudFiles({ environment, workingDirectory: here }), {
    clouds: join(here, 'clouds.yaml'),
    secure: join(home, '.config/openstack/secure.yaml'),
  })
  t.match(findCloudFiles({ environment, workingDirectory: home }), {
    clouds: join(home, '.config/openstack/clouds.yaml'),
  })
  const named = join(home, 'elsewhere/mine.yaml')
  const byVariable = { ...environment, OS_CLIENT_CONFIG_FILE: named }
  t.equal(findCloudFiles({ environment: byVariable, workingDirectory: here }).clouds, named)
  t.match(findCloudFiles({ environment, workingDirectory: here, file: named }), {
    clouds: named,
    secure: join(home, 'elsewhere/secure.yaml'),
  })
  t.throws(
    () => findCloudFiles({ environment: {}, workingDirectory: join(home, 'nowhere') }),
    AuthenticationProblem,
  )
})

t.test('readCloud() reads the files and names the one that is wrong', async (t) => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'sub'))
  const file = join(folder, 'sub/clouds.yaml')
  writeFileSync(file, `clouds:\n  mine:\n    auth_type: none\n    region_name: R\n`)
  const search = { environment: {}, workingDirectory: folder, file }
  t.match(readCloud(search, 'mine'), { authentication: { kind: 'none' }, region: 'R' })
  t.throws(() => readCloud(search, 'yours'), { message: `${file}: there is no cloud "yours"` })
})

t.test('cloudFromEnvironment() reads the variables of openstackclient', async (t) => {
  const environment = Object.fromEntries(
    Object.entries(auth).map(([key, value]) => [`OS_${key.toUpperCase()}`, value]),
  )
  t.strictSame(revealed(cloudFromEnvironment(environment)), {
    authentication: passwordOfAuth,
    tls: { insecure: false },
  })
  t.match(
    cloudFromEnvironment({
      ...environment,
      OS_CLOUD: 'ignored',
      OS_REGION_NAME: 'R',
      OS_INTERFACE: 'internal',
      OS_CACERT: '/ca',
      OS_CERT: '/cert',
      OS_KEY: '/key',
      OS_INSECURE: 'true',
      OS_NETWORK_ENDPOINT_OVERRIDE: 'https://n',
    }),
    {
      region: 'R',
      endpointInterface: 'internal',
      endpoint: 'https://n',
      tls: { insecure: true, caFile: '/ca', certFile: '/cert', keyFile: '/key' },
    },
  )
  t.match(
    cloudFromEnvironment({
      OS_AUTH_TYPE: 'none',
      OS_PASSWORD: '',
      OS_ENDPOINT_OVERRIDE: 'http://n',
    }),
    { authentication: { kind: 'none' }, endpoint: 'http://n' },
  )
  t.throws(() => cloudFromEnvironment({ OS_PASSWORD: 'x' }), AuthenticationProblem)
})
