// Nova over https, its certificate signed by an authority that the administrator added to the system's bundle: every guest got 503,
// because "the system's authorities" were Node's built-in list. The bundle of the machine counts.
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:https'
import t from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { TestAuthority } from '../support/test-authority.ts'

t.test('an authority of the system vouches for compute without ca_file', async (t) => {
  const authority = new TestAuthority(scratchFolder(t))
  const nova = authority.issue({ commonName: 'nova', ipAddresses: ['127.0.0.1'] })
  const before = process.env['SSL_CERT_FILE']
  // How OpenSSL, and with it every Python service of OpenStack, is given another bundle.
  process.env['SSL_CERT_FILE'] = authority.caFile
  t.teardown(() => {
    if (before === undefined) delete process.env['SSL_CERT_FILE']
    else process.env['SSL_CERT_FILE'] = before
  })
  const compute = createServer(
    { cert: readFileSync(nova.certificateFile), key: readFileSync(nova.keyFile) },
    (_request, response) => response.end('over TLS'),
  )
  compute.listen(0, '127.0.0.1')
  await once(compute, 'listening')
  t.teardown(() => {
    compute.closeAllConnections()
    compute.close()
  })
  const address = compute.address()
  const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
  const { agent } = await startAgentForOneGuest(t, {
    upstreams: [`https://127.0.0.1:${tcpPort}`],
  })
  const answer = await agent.ask('/openstack', guestFields)
  t.equal(answer?.status, 200)
  t.equal(answer?.body.toString(), 'over TLS')
})
