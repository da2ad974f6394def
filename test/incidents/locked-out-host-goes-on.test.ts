// A host that `proxies_by_chassis` had let in was put on the list without scopes, to lock it out. On connections that were open it went on
// for as long as they lasted, since the list was looked at when they were made. Right: the list counts for the next request.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startAgentForOneGuest } from '../support/one-guest.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { TestAuthority, withoutOpenssl } from '../support/test-authority.ts'
import { askOver, connectAs, tcpPortOf, tlsListener } from '../support/tls-agent.ts'

t.test(
  'a host that the list locks out gets no further answer',
  { skip: withoutOpenssl() },
  async (t) => {
    const folder = scratchFolder(t)
    const list = join(folder, 'proxies.yaml')
    writeFileSync(list, 'proxies: []')
    const authority = new TestAuthority(folder)
    const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
    const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
    t.teardown(() => upstream.close())
    const listener = tlsListener(authority, server, {
      proxies_by_chassis: true,
      proxies_file: list,
    })
    const { agent, directory } = await startAgentForOneGuest(t, {
      upstreams: [upstream.url],
      config: {
        ports: { kind: 'ovn', ovn: { ovn_sb_connection: ['unix:/nowhere'] } },
        listeners: [listener],
      },
    })
    // Stands for OVN, which has bound a port of each network to the host.
    Object.assign(directory, { isOnHost: () => true })
    const client = authority.issue({ commonName: 'Host-A' })
    const connection = await connectAs(t, await tcpPortOf(agent), authority, client)
    t.equal((await askOver(connection))?.status, 200)

    writeFileSync(list, 'proxies: [{ name: host-a, scopes: [] }]')
    agent.agent.reload()

    const answer = await askOver(connection)
    t.match([answer?.status, answer?.field('x-overlapd-reason')], [403, 'scope_not_allowed'])
  },
)
