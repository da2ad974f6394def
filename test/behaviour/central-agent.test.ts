import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { causeText } from '../../lib/runtime/errors.ts'
import t, { type Test } from 'tap'
import {
  ip,
  mac,
  networkId,
  projectId,
  portId,
  routerId,
  instanceId,
} from '../conformance/topology.ts'
import {
  guestFields,
  guestInstance,
  startAgentForOneGuest,
  type OneGuest,
} from '../support/one-guest.ts'
import { RawConnection } from '../support/raw-http.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import {
  replaceFile,
  TestAuthority,
  withoutOpenssl,
  type Issued,
  type Wanted,
} from '../support/test-authority.ts'
import { askOver, connectAs, tcpPortOf, tlsListener } from '../support/tls-agent.ts'

const skip = withoutOpenssl()

interface Central extends OneGuest {
  readonly authority: TestAuthority
  readonly server: Issued
  readonly tcpPort: number
  readonly upstream: RecordingUpstream
  refused(why: string): Promise<number>
}

const ownScope = `network/${networkId(1)}`

async function startCentral(
  t: Test,
  listener: (folder: string) => Readonly<Record<string, unknown>> = () => ({
    proxies: [{ name: 'host-a', scopes: [ownScope] }],
  }),
  tls: (authority: TestAuthority) => Readonly<Record<string, unknown>> = () => ({}),
  config: Readonly<Record<string, unknown>> = {},
): Promise<Central> {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const one = await startAgentForOneGuest(t, {
    upstreams: [upstream.url],
    config: {
      ...config,
      listeners: [tlsListener(authority, server, listener(folder), tls(authority))],
    },
  })
  const tcpPort = await tcpPortOf(one.agent)
  const refused = async (why: string): Promise<number> => {
    const text = await one.agent.text('/metrics')
    const line = new RegExp(
      `^overlapd_agent_refused_connections_total\\{why="${why}"\\} (\\d+)$`,
      'm',
    )
    return Number(line.exec(text)?.[1] ?? 0)
  }
  return { ...one, authority, server, upstream, tcpPort, refused }
}

/** Asks over a connection of its own. */
async function askAs(
  t: Test,
  { tcpPort, authority }: Central,
  client: Issued | undefined,
): Promise<string> {
  const connection = await connectAs(t, tcpPort, authority, client)
  const answer = await askOver(connection)
  connection.close()
  return answer === undefined
    ? 'ended'
    : `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()
}

t.test(
  'a certificate speaks for the scopes allowed to it, and for no other',
  { skip },
  async (t) => {
    const central = await startCentral(t)
    const { authority, tcpPort, upstream, agent, directory } = central
    // The other tenant's instance, same address behind another router.
    directory.setRouter(routerId(2), [networkId(2)])
    directory.setPorts({
      portId: portId(2),
      networkId: networkId(2),
      macAddress: mac(2),
      fixedIps: [ip('10.0.0.10')],
      instanceId: instanceId(2),
      projectId: projectId(2),
    })
    directory.remember()
    const connection = await connectAs(
      t,
      tcpPort,
      authority,
      authority.issue({ commonName: 'host-a' }),
    )

    const own = await askOver(connection)
    t.equal(own?.status, 200)
    t.equal(own?.body.toString(), guestInstance)

    const hostile = [
      [['X-Neutron-Router-ID', routerId(2)]],
      [['X-Neutron-Network-ID', networkId(2)]],
      [['X-OVN-Network-ID', networkId(2)]],
      // A network's id as that of a router is another scope.
      [['X-Neutron-Router-ID', networkId(1)]],
      [['X-Neutron-Network-ID', networkId(1).toUpperCase()]],
    ] as const
    for (const fields of hostile) {
      const answer = await askOver(connection, [...fields, ['X-Forwarded-For', '10.0.0.10']])
      t.equal(answer?.status, 403, String(fields))
      t.equal(answer?.field('x-overlapd-reason'), 'scope_not_allowed')
      t.notOk(answer?.body.includes('host-a') || answer?.body.includes(networkId(2)))
    }
    for (const fields of [
      [...guestFields, ['X-Neutron-Router-ID', routerId(2)]],
      [...guestFields, ['X-Neutron-Network-ID', networkId(2)]],
    ] as const) {
      t.equal((await askOver(connection, fields))?.status, 400)
    }
    t.equal((await askOver(connection))?.status, 200, 'the connection still serves its own')
    t.equal(upstream.requests.length, 2)
    t.strictSame(directory.questions('networks'), 0, 'nobody was asked about what is not allowed')
    t.match(
      await agent.text('/metrics'),
      /requests_total\{outcome="refused",reason="scope_not_allowed",status="4xx"\} 5/,
    )
    const told = agent.log.filter((line) => line['reason'] === 'scope_not_allowed')
    t.equal(told.length, 5)
    t.match(told[0], { details: { proxy: 'host-a' }, routerId: routerId(2), level: 'warn' })
  },
)

t.test('* stands for every scope', { skip }, async (t) => {
  const central = await startCentral(t, () => ({ proxies: [{ name: 'host-a', scopes: ['*'] }] }))
  t.equal(await askAs(t, central, central.authority.issue({ dnsNames: ['host-a'] })), '200')
})

t.test('a certificate that does not count is not read from', { skip }, async (t) => {
  const central = await startCentral(t)
  const { authority, agent, tcpPort, upstream } = central
  const stranger = new TestAuthority(scratchFolder(t), 'stranger')
  const cases: readonly (readonly [string, Issued | undefined, string])[] = [
    ['no certificate', undefined, 'handshake'],
    ['one of another authority', stranger.issue({ commonName: 'host-a' }), 'certificate'],
    ['one that is over', authority.issue({ commonName: 'host-a', isOver: true }), 'certificate'],
    ["a server's", authority.issue({ commonName: 'host-a', usage: 'serverAuth' }), 'certificate'],
    ['one with an unknown name', authority.issue({ commonName: 'host-b' }), 'unknown_name'],
  ]
  for (const [what, client, why] of cases) {
    const before = await central.refused(why)
    t.equal(await askAs(t, central, client), 'ended', what)
    t.equal(await central.refused(why), before + 1, `${what} counts as ${why}`)
  }
  const unknown = agent.log.find((line) => line['why'] === 'unknown_name')
  t.match(unknown, { cause: /CN=host-b/, remoteAddress: '127.0.0.1' })

  const plain = await RawConnection.over(connect(tcpPort, '127.0.0.1'))
  await plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await plain.rest()).toString(), '', 'plain HTTP gets no HTTP')
  const old = connectTls({
    host: '127.0.0.1',
    port: tcpPort,
    ca: readFileSync(authority.caFile),
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  })
  const [cause] = (await once(old, 'error')) as [NodeJS.ErrnoException]
  t.match(cause.code, /PROTOCOL_VERSION/)
  t.equal(upstream.requests.length, 0)
})

t.test('names are compared as a whole', { skip }, async (t) => {
  const central = await startCentral(t, () => ({
    proxies: [
      { name: 'host-a.example', scopes: ['*'] },
      { name: 'host-b.example', scopes: ['*'] },
    ],
  }))
  const { authority } = central
  const confusing: readonly (readonly [string, Wanted])[] = [
    ['wildcard', { dnsNames: ['*.example'] }],
    ['wildcard as common name', { commonName: '*.example' }],
    ['part of a label', { dnsNames: ['host-*.example'] }],
    ['a pattern', { commonName: 'host-..example' }],
    ['everything', { commonName: '.*' }],
    ['longer', { commonName: 'host-a.example.evil' }],
    ['longer in front', { dnsNames: ['x.host-a.example'] }],
    ['shorter', { dnsNames: ['host-a'] }],
    ['leading dot', { dnsNames: ['.example'] }],
    ['trailing dot', { dnsNames: ['host-a.example.'] }],
    ['space', { commonName: 'host-a.example ' }],
    [
      'NUL in the common name',
      { commonName: 'host-a.example~evil', replace: [['host-a.example~', 'host-a.example\0']] },
    ],
    [
      'NUL in a DNS name',
      { dnsNames: ['host-a.example~evil'], replace: [['host-a.example~', 'host-a.example\0']] },
    ],
    [
      'a list inside one DNS name',
      {
        dnsNames: ['x~~DNS:host-a.example~~DNS:y'],
        replace: [['x~~DNS:host-a.example~~DNS:y', 'x, DNS:host-a.example, DNS:y']],
      },
    ],
    [
      'a line inside the common name',
      { commonName: 'x~CN=host-a.example', replace: [['x~CN=', 'x\nCN=']] },
    ],
    ['common name beside DNS names', { commonName: 'host-a.example', dnsNames: ['evil'] }],
    ['nothing', { commonName: 'x', replace: [['\x0c\x01x', '\x0c\x01\0']] }],
  ]
  for (const [what, wanted] of confusing) {
    t.equal(await askAs(t, central, authority.issue(wanted)), 'ended', what)
  }
  t.equal(await central.refused('unknown_name'), confusing.length)

  const both = authority.issue({ dnsNames: ['host-a.example', 'host-b.example'] })
  t.equal(await askAs(t, central, both), 'ended', 'two names of the list')
  t.equal(await central.refused('several_names'), 1)
  const right: readonly Wanted[] = [
    { commonName: 'host-a.example' },
    { commonName: 'other', dnsNames: ['unlisted', 'HOST-A.example'] },
  ]
  for (const wanted of right) t.equal(await askAs(t, central, authority.issue(wanted)), '200')
})

t.test('sessions are not resumed', { skip }, async (t) => {
  const { authority, tcpPort } = await startCentral(t)
  const client = authority.issue({ commonName: 'host-a' })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await connectAs(t, tcpPort, authority, client, { maxVersion })
    const socket = first.socket as TLSSocket
    let session: Buffer | undefined = socket.getSession()
    socket.on('session', (later: Buffer) => (session = later))
    t.equal((await askOver(first))?.status, 200)
    const again = await connectAs(t, tcpPort, authority, client, { maxVersion, session })
    t.equal((again.socket as TLSSocket).isSessionReused(), false, maxVersion)
    t.equal((await askOver(again))?.status, 200)
  }
})

t.test('a slow handshake is ended', { skip }, async (t) => {
  const central = await startCentral(t, undefined, () => ({ timeout_handshake: '50ms' }))
  const silent = await RawConnection.over(connect(central.tcpPort, '127.0.0.1'))
  await silent.rest()
  t.equal(await central.refused('handshake'), 1)
})

t.test('one address cannot take all places by connecting only', { skip }, async (t) => {
  const central = await startCentral(t, undefined, () => ({ timeout_handshake: '1m' }))
  const silent: Socket[] = []
  const ended: Promise<unknown>[] = []
  t.teardown(() => silent.forEach((socket) => socket.destroy()))
  for (let count = 0; count < 260; count += 1) {
    const socket = connect(central.tcpPort, '127.0.0.1')
    socket.on('error', () => undefined)
    silent.push(socket)
    ended.push(once(socket, 'close'))
    socket.resume()
  }
  await Promise.race(ended)
  t.ok((await central.refused('too_many')) >= 1)
  for (const socket of silent) socket.destroy()
  await Promise.all(ended)
  // The agent notices each end by itself.
  const certificate = central.authority.issue({ commonName: 'host-a' })
  let answer: string | undefined
  while (answer !== '200') {
    answer = await connectAs(t, central.tcpPort, central.authority, certificate)
      .then(async (connection) => String((await askOver(connection))?.status))
      .catch((cause: unknown) => causeText(cause))
  }
  t.equal(answer, '200')
})

t.test('one proxy cannot take the places of all', { skip }, async (t) => {
  const central = await startCentral(
    t,
    () => ({
      proxies: [
        { name: 'host-a', scopes: ['*'] },
        { name: 'host-b', scopes: ['*'] },
      ],
    }),
    () => ({ connections_per_proxy: 2 }),
  )
  const { authority, tcpPort } = central
  const client = authority.issue({ commonName: 'host-a' })
  const [first, second] = [
    await connectAs(t, tcpPort, authority, client),
    await connectAs(t, tcpPort, authority, client),
  ]
  t.equal((await askOver(first))?.status, 200)
  t.equal((await askOver(second))?.status, 200)
  t.equal(await askAs(t, central, client), 'ended')
  t.equal(await central.refused('too_many'), 1)
  t.equal(await askAs(t, central, authority.issue({ commonName: 'host-b' })), '200')
})

t.test(
  'changed certificates are used without a restart, and bad ones are not',
  { skip },
  async (t) => {
    const central = await startCentral(t)
    const { authority, agent, clock, server, tcpPort } = central
    const client = authority.issue({ commonName: 'host-a' })
    const open = await connectAs(t, tcpPort, authority, client)
    const serialOf = (connection: RawConnection): string =>
      (connection.socket as TLSSocket).getPeerCertificate().serialNumber
    t.equal(serialOf(open), '01')

    const next = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
    replaceFile(next.certificateFile, server.certificateFile)
    agent.agent.reload()
    const refused = agent.log.filter((line) => /cannot be used/.test(String(line['message'])))
    t.equal(refused.length, 1, 'a certificate without its key')
    t.notMatch(JSON.stringify(refused), /PRIVATE|BEGIN/)
    t.match((await agent.agent.status()).listeners[0], { refusedFiles: /used together/ })
    t.equal(serialOf(await connectAs(t, tcpPort, authority, client)), '01', 'the old pair serves')

    replaceFile(next.keyFile, server.keyFile)
    agent.agent.reload()
    t.equal(serialOf(await connectAs(t, tcpPort, authority, client)), '03')
    t.equal((await askOver(open))?.status, 200, 'what is open stays open')
    t.notOk((await agent.agent.status()).listeners[0]?.refusedFiles)

    const original = readFileSync(authority.caFile)
    const stranger = new TestAuthority(scratchFolder(t), 'stranger')
    for (const bad of [
      '',
      'no certificate',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    ]) {
      const file = join(scratchFolder(t), 'bad')
      writeFileSync(file, bad)
      replaceFile(file, authority.caFile)
      agent.agent.reload()
      t.match((await agent.agent.status()).listeners[0], { refusedFiles: /certificate/ })
    }
    // Only this authority from now on: by the watch, without being told.
    replaceFile(stranger.caFile, authority.caFile)
    await clock.untilWaiting(1)
    const isChanged = (): boolean =>
      agent.log.filter((line) => /used from now on/.test(String(line['message']))).length === 2
    while (!isChanged()) await clock.advance(1_000)
    const late = await connectAs(t, tcpPort, authority, client, { ca: original })
    t.equal(await askOver(late), undefined, 'the old authority counts no more')
    t.equal((await askOver(open))?.status, 200)
  },
)

t.test('the list of proxies is read again when its file changes', { skip }, async (t) => {
  let list = ''
  const write = (text: string): void => writeFileSync(list, text)
  const central = await startCentral(t, (folder) => {
    list = join(folder, 'proxies.yaml')
    write(`proxies: [{ name: host-a, scopes: ['${ownScope}'] }]`)
    return { proxies_file: list }
  })
  const { authority, agent, tcpPort } = central
  const client = authority.issue({ commonName: 'host-a' })
  const open = await connectAs(t, tcpPort, authority, client)
  t.equal((await askOver(open))?.status, 200)
  for (const bad of [
    'proxies: [',
    'proxies: [{ name: "*", scopes: ["*"] }]',
    'proxies: [{ name: host-a, scopes: ["router/*"] }]',
    'proxies: [{ name: host-a, scopes: ["*"] }, { name: HOST-A, scopes: ["*"] }]',
    'proxys: []',
  ]) {
    write(bad)
    agent.agent.reload()
    t.match((await agent.agent.status()).listeners[0], { refusedFiles: /\w/ }, bad)
    t.equal((await askOver(open))?.status, 200)
  }
  write(`proxies: [{ name: host-a, scopes: ['router/x'] }, { name: host-c, scopes: ['*'] }]`)
  agent.agent.reload()
  t.equal((await askOver(open))?.status, 403, 'at once, also for what is open')
  t.equal(await askAs(t, central, authority.issue({ commonName: 'host-c' })), '200')
  write('proxies: []')
  agent.agent.reload()
  t.equal((await askOver(open))?.status, 403)
  t.equal(await askAs(t, central, client), 'ended')
})

t.test('a connection ends at its greatest age, a running request first', { skip }, async (t) => {
  const central = await startCentral(t, undefined, () => ({ max_connection_age: '10m' }), {
    limits: { timeout_drain: '1m' },
  })
  const { authority, clock, tcpPort, upstream } = central
  const client = authority.issue({ commonName: 'host-a' })
  const idle = await connectAs(t, tcpPort, authority, client)
  const busy = await connectAs(t, tcpPort, authority, client)
  t.equal((await askOver(idle))?.status, 200)
  let release: (() => void) | undefined
  const asked = new Promise<void>((resolve) => {
    upstream.answer = (_request, response) => {
      resolve()
      release = () => void response.end('late')
    }
  })
  const answer = askOver(busy)
  await asked
  await clock.advance(600_000 - 50)
  t.equal((await idle.rest()).toString(), '')
  release?.()
  t.match(await answer, { status: 200 })
  t.match(await answer, { head: /connection: close/i })
  await busy.rest()
  t.ok(busy.isEnded)
})

t.test('certificates taken back do not count', { skip }, async (t) => {
  const central = await startCentral(t, undefined, (authority) => ({
    crl_file: authority.crl(2),
  }))
  const { authority } = central
  const [taken, good] = [
    authority.issue({ commonName: 'host-a' }),
    authority.issue({ commonName: 'host-a' }),
  ]
  t.equal(await askAs(t, central, taken), 'ended')
  t.equal(await askAs(t, central, good), '200')
  authority.crl(2, 3)
  central.agent.agent.reload()
  t.equal(await askAs(t, central, good), 'ended')
})
