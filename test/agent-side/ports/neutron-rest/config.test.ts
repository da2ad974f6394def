import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  neutronRestConfig,
  neutronRestTable,
} from '../../../../agent-side/ports/neutron-rest/config.ts'
import { loadConfig } from '../../../../lib/config/load.ts'

const around = { environment: {}, workingDirectory: '/' }

function options(yaml: string, folder: string) {
  const file = join(folder, 'options.yaml')
  writeFileSync(file, yaml)
  return loadConfig(neutronRestTable, { file, environment: {}, environmentPrefix: 'TEST' }).config
}

t.test('neutronRestConfig() of the table alone trusts an answer for seconds', async (t) => {
  const read = options('auth_type: none\nendpoint: http://127.0.0.1:9696\n', t.testdir({}))
  t.match(neutronRestConfig(read, around), {
    maxAge: 2_000,
    maxStale: 5_000,
    endpointInterface: 'public',
    tls: { insecure: false },
    authentication: { kind: 'none' },
    endpoint: 'http://127.0.0.1:9696',
  })
})

t.test('neutronRestConfig() reads a password from its file', async (t) => {
  const folder = t.testdir({})
  writeFileSync(join(folder, 'password'), 'p4ss$word\n', { mode: 0o600 })
  const read = options(
    [
      'auth_type: password',
      'auth_url: https://keystone.example/v3',
      'username: metadata',
      'user_domain_name: Default',
      'project_name: service',
      'project_domain_name: Default',
      'password_file: password',
      'interface: internal',
      'cacert: ca.pem',
      'max_age: 5s',
    ].join('\n'),
    folder,
  )
  const config = neutronRestConfig(read, around)
  t.match(config, {
    endpointInterface: 'internal',
    maxAge: 5_000,
    tls: { caFile: join(folder, 'ca.pem'), insecure: false },
  })
  const { authentication } = config
  t.equal(authentication.kind === 'password' && authentication.password.reveal(), 'p4ss$word')
  t.notMatch(JSON.stringify(config), 'p4ss')
})

t.test('neutronRestConfig() takes what stands in the options over clouds.yaml', async (t) => {
  const folder = t.testdir({
    'clouds.yaml':
      'clouds:\n  lab: {auth_type: none, region_name: A, interface: admin, endpoint_override: "http://n"}\n',
  })
  const read = options('cloud: lab\nclouds_file: clouds.yaml\nregion: B\n', folder)
  t.match(neutronRestConfig(read, around), {
    region: 'B',
    endpointInterface: 'admin',
    endpoint: 'http://n',
  })
})
