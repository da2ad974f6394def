import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import type { RawAnswer } from '../support/raw-http.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { TestAuthority, type Issued } from '../support/test-authority.ts'

const folder = scratchFolder(t)
const authority = new TestAuthority(folder)
const stranger = new TestAuthority(folder, 'stranger')
const nova = authority.issue({ commonName: 'nova', ipAddresses: ['127.0.0.1'] })
const ours = authority.issue({ commonName: 'metadata-agent', usage: 'clientAuth' })

interface Asked {
  readonly answer: RawAnswer | undefined
  /** Whom compute saw in our certificate, by request. */
  readonly seen: readonly string[]
  readonly log: string
}

/** One request of a guest through an agent with these options, to a compute that shows this certificate. */
async function ask(
  t: Test,
  certificate: Issued,
  tls: Readonly<Record<string, unknown>>,
  server: ServerOptions = {},
): Promise<Asked> {
  const seen: string[] = []
  const https = createServer(
    {
      cert: readFileSync(certificate.certificateFile),
      key: readFileSync(certificate.keyFile),
      ...server,
    },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      seen.push(String(subject?.CN ?? 'nobody'))
      response.end('over TLS')
    },
  )
  https.listen(0, '127.0.0.1')
  await once(https, 'listening')
  t.teardown(() => {
    https.closeAllConnections()
    https.close()
  })
  const address = https.address()
  const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [`https://127.0.0.1:${tcpPort}`],
    // With a certificate of our own there is nothing to lease.
    config: { compute: { tls }, leases: { enabled: false } },
  })
  const answer = await agent.ask('/openstack', guestFields)
  return { answer, seen, log: JSON.stringify(agent.log) }
}

const withOurs = {
  ca_file: authority.caFile,
  certificate_file: ours.certificateFile,
  key_file: ours.keyFile,
}
const wantsCertificate: ServerOptions = {
  ca: readFileSync(authority.caFile),
  requestCert: true,
  rejectUnauthorized: true,
}

t.test('compute with a certificate of the right authority gets requests', async (t) => {
  const { answer, seen } = await ask(t, nova, { ca_file: authority.caFile })
  t.equal(answer?.body.toString(), 'over TLS')
  t.strictSame(seen, ['nobody'])
})

t.test('compute that demands a certificate gets ours', async (t) => {
  const { answer, seen } = await ask(t, nova, withOurs, wantsCertificate)
  t.equal(answer?.body.toString(), 'over TLS')
  t.strictSame(seen, ['metadata-agent'])
})

t.test('any certificate is trusted only where that is configured', async (t) => {
  const unknown = stranger.issue({ commonName: 'nova', dnsNames: ['elsewhere'] })
  const { answer, seen } = await ask(t, unknown, { insecure: true })
  t.equal(answer?.body.toString(), 'over TLS')
  t.strictSame(seen, ['nobody'])
})

const refused: readonly (readonly [
  what: string,
  certificate: Issued,
  tls: Readonly<Record<string, unknown>>,
  server?: ServerOptions,
])[] = [
  ['no authority that we know', nova, {}],
  [
    'another authority',
    stranger.issue({ commonName: 'nova', ipAddresses: ['127.0.0.1'] }),
    { ca_file: authority.caFile },
  ],
  [
    'the name of something else',
    authority.issue({ commonName: 'other', ipAddresses: ['127.0.0.2'] }),
    { ca_file: authority.caFile },
  ],
  [
    'an end that is over',
    authority.issue({ commonName: 'nova', ipAddresses: ['127.0.0.1'], isOver: true }),
    { ca_file: authority.caFile },
  ],
  ['a demand for ours that we cannot meet', nova, { ca_file: authority.caFile }, wantsCertificate],
]
for (const [what, certificate, tls, server] of refused) {
  t.test(`compute with ${what} gets nothing, and the guest gets Retry-After`, async (t) => {
    const { answer, seen, log } = await ask(t, certificate, tls, server)
    t.equal(answer?.status, 503)
    t.equal(answer?.field('x-overlapd-reason'), 'compute_unreachable')
    t.match(answer?.field('retry-after'), /^[1-9]\d*$/)
    t.strictSame(seen, [], 'no header, and so no signature, has left')
    // With TLS 1.3 a server may end the connection without saying that it misses ours.
    const why =
      server === undefined ? /certificate|altnames/i : /other side closed|alert|ECONNRESET/i
    t.match(log, why, 'the operator can read why')
  })
}
