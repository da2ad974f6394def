/** Do certificates count on each way from the agent to the control plane and to Nova? A genuine haproxy ends the TLS. */
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { uniqueName } from '../support/netns.ts'
import { TestAuthority, type Issued } from '../support/test-authority.ts'
import { runningCloud } from './cloud.ts'
import { startDaemon, stopDaemon, untilReady } from './daemon.ts'
import { documentPaths } from './genuine-documents.ts'
import { instanceIn, nobody, secretFile, startAgent, type OurAgent } from './overlapd.ts'
import { freeTcpPorts } from './place.ts'
import { addResult } from './results.ts'
import { proxyHeaders } from './scope-headers.ts'
import { keystoneLogin } from './services/keystone.ts'
import { hostName } from './services/host-name.ts'
import { transportUrl } from './services/rabbitmq.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, guests, crowd } = runningCloud()
const folder = join(place.folder, uniqueName('tls-'))
mkdirSync(folder)
chmodSync(folder, 0o755)
const authority = new TestAuthority(folder)
const stranger = new TestAuthority(folder, 'stranger')
/** As a file that the agent's user may read. */
function readable({ certificateFile, keyFile }: Issued): Issued {
  for (const file of [certificateFile, keyFile]) chownSync(file, nobody.uid, nobody.gid)
  return { certificateFile, keyFile }
}
const server = authority.issue({ ipAddresses: ['127.0.0.1'], usage: 'serverAuth' })
const client = readable(authority.issue({ commonName: 'overlapd', usage: 'clientAuth' }))
const foreign = readable(stranger.issue({ commonName: 'overlapd', usage: 'clientAuth' }))

const behind = {
  keystone: place.tcpPorts.keystone,
  neutron: place.tcpPorts.neutronKeystone,
  nova: place.tcpPorts.novaUwsgi,
  novaEventlet: place.tcpPorts.novaEventlet,
  rabbitmq: place.tcpPorts.rabbitmq,
  southbound: place.tcpPorts.southbound,
} as const
type Behind = keyof typeof behind

/** Ends TLS in front of every server, and takes clients with a certificate of the authority only. */
async function startTls(): Promise<Readonly<Record<Behind, number>>> {
  const names = Object.keys(behind) as Behind[]
  const free = await freeTcpPorts(names.length)
  const pem = join(folder, 'server-and-key.pem')
  writeFileSync(pem, readFileSync(server.certificateFile, 'utf8') + readFileSync(server.keyFile))
  const lines = [
    'defaults',
    '  mode tcp',
    '  timeout connect 10s',
    '  timeout client 10m',
    '  timeout server 10m',
    ...names.flatMap((name, index) => [
      `listen ${name}`,
      `  bind 127.0.0.1:${free[index]} ssl crt ${pem} ca-file ${authority.caFile} verify required`,
      `  server ${name} 127.0.0.1:${behind[name]}`,
    ]),
    '',
  ]
  const config = join(folder, 'haproxy.cfg')
  writeFileSync(config, lines.join('\n'))
  const name = uniqueName('tls-haproxy-')
  startDaemon(place, { name, program: '/usr/sbin/haproxy', arguments: ['-db', '-f', config] })
  t.teardown(() => stopDaemon(place, name))
  await untilReady(place, name, async () => {
    const socket = connect(free[0] ?? 0, '127.0.0.1')
    await once(socket, 'connect').finally(() => socket.destroy())
    return true
  })
  return Object.fromEntries(names.map((one, index) => [one, free[index] ?? 0])) as Record<
    Behind,
    number
  >
}

const tcpPorts = await startTls()
const compute = await startTellingCompute(t, place)
const login = keystoneLogin(place)
const password = secretFile(place, uniqueName('keystone-'), login.password)

interface Files {
  readonly caFile: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
const good: Files = { caFile: authority.caFile, ...client }
const bad: Readonly<Record<string, Files>> = {
  'without our certificate': { caFile: authority.caFile },
  'with a certificate of another authority': { caFile: authority.caFile, ...foreign },
  'with another authority for the server': { caFile: stranger.caFile, ...client },
}

/** A section of the configuration without what is not set. */
function section(options: Readonly<Record<string, string | undefined>>): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

const directories = {
  'neutron-rest': (files: Files) => ({
    kind: 'neutron-rest',
    neutron_rest: {
      auth_type: 'password',
      auth_url: `https://127.0.0.1:${tcpPorts.keystone}/v3`,
      username: login.username,
      user_domain_name: 'Default',
      password_file: password,
      project_name: login.project_name,
      project_domain_name: 'Default',
      endpoint: `https://127.0.0.1:${tcpPorts.neutron}`,
      ...section({ cacert: files.caFile, cert: files.certificateFile, key: files.keyFile }),
    },
  }),
  'neutron-rpc': (files: Files) => ({
    kind: 'neutron-rpc',
    neutron_rpc: {
      transport_url_file: secretFile(
        place,
        uniqueName('transport-url-'),
        transportUrl(place, 'ml2', tcpPorts.rabbitmq),
      ),
      host: 'overlapd-tls',
      ssl: true,
      ...section({
        ssl_ca_file: files.caFile,
        ssl_cert_file: files.certificateFile,
        ssl_key_file: files.keyFile,
      }),
    },
  }),
  ovn: (files: Files) => ({
    kind: 'ovn',
    ovn: {
      ovn_sb_connection: [`ssl:127.0.0.1:${tcpPorts.southbound}`],
      chassis: hostName,
      ...section({
        ovn_sb_ca_cert: files.caFile,
        ovn_sb_certificate: files.certificateFile,
        ovn_sb_private_key: files.keyFile,
      }),
    },
  }),
} as const

/** What readiness says of the directory. */
async function detail(agent: OurAgent): Promise<string> {
  const { parts } = await agent.readiness()
  return parts.find(({ name }) => name === 'directory')?.detail ?? ''
}

for (const [directory, ports] of Object.entries(directories)) {
  const flavour = directory === 'ovn' ? 'ovn' : 'ml2'
  const guest = crowd[flavour][0]!
  t.test(`${directory}: TLS with certificates on both sides`, async (t) => {
    const agent = startAgent(t, place, { ports: ports(good), upstreams: [compute] })
    await agent.untilReady()
    const answer = await agent.ask('overlapd', proxyHeaders(guest, flavour))
    t.equal(instanceIn(answer), guest.instanceId)
    const said: string[] = []
    for (const [what, files] of Object.entries(bad)) {
      const refused = startAgent(t, place, { ports: ports(files), upstreams: [compute] })
      await refused.until(what, async () =>
        /certificate|alert|TLS|SSL|ECONNRESET|socket hang up|closed/i.test(await detail(refused)),
      )
      t.equal((await refused.readiness()).ready, false, what)
      const { status, retryAfter } = await refused.ask('overlapd', proxyHeaders(guest, flavour))
      t.match({ status, retryAfter }, { status: 503, retryAfter: /^\d+$/ }, what)
      said.push(await detail(refused))
      await refused.stop()
    }
    addResult(place, 'TLS with certificates on both sides', {
      'agent to': directory,
      served: 'yes',
      'bad certificates refused': said.length,
    })
  })
}

for (const name of ['nova', 'novaEventlet'] as const) {
  t.test(`${name}: TLS with certificates on both sides`, async (t) => {
    const start = (files: Files): OurAgent =>
      startAgent(t, place, {
        ports: directories['neutron-rest'](good),
        upstreams: [`https://127.0.0.1:${tcpPorts[name]}`],
        compute: {
          tls: section({
            ca_file: files.caFile,
            certificate_file: files.certificateFile,
            key_file: files.keyFile,
          }),
        },
      })
    const [guest] = guests
    const headers = {
      'x-forwarded-for': guest!.instance.port.ip,
      'x-neutron-router-id': guest!.network.routerId ?? '',
    }
    const agent = start(good)
    await agent.untilReady()
    for (const path of documentPaths) {
      t.equal((await agent.ask('ml2', headers, path)).status, 200, path)
    }
    t.match((await agent.ask('ml2', headers)).body, guest!.instance.id)
    for (const [what, files] of Object.entries(bad)) {
      const refused = start(files)
      await refused.until('directory', async () => {
        const { parts } = await refused.readiness()
        return parts.some((part) => part.name === 'directory' && part.ready)
      })
      const { status, reason, retryAfter } = await refused.ask('ml2', headers)
      t.match({ status, retryAfter }, { status: 503, retryAfter: /^\d+$/ }, `${what}: ${reason}`)
      await refused.stop()
    }
    addResult(place, 'TLS with certificates on both sides', {
      'agent to': name,
      served: 'yes',
      'bad certificates refused': Object.keys(bad).length,
    })
  })
}
