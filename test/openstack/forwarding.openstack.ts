/** Do guests get their own documents on the other ways to Nova too: over a central agent, and directly from the proxy? */
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { uniqueName } from '../support/netns.ts'
import { TestAuthority } from '../support/test-authority.ts'
import { runningCloud } from './cloud.ts'
import { genuineDocuments } from './genuine-documents.ts'
import { compareDocuments, type Genuine } from './guest-documents.ts'
import { GuestNetworks, type Flavour, type IpFamily } from './guest-networks.ts'
import { nobody, portsSections, startAgent, startProxy, type OurAgent } from './overlapd.ts'
import { freeTcpPorts, urlOf } from './place.ts'
import { addResult } from './results.ts'

const { place, guests } = runningCloud()
const networks = {
  ml2: await GuestNetworks.make(t, place, guests, 'ml2'),
  ovn: await GuestNetworks.make(t, place, guests, 'ovn'),
}
const genuine: Genuine = new Map(
  await Promise.all(
    guests.map(
      async (guest) => [guest.name, await genuineDocuments(place, guest.instance)] as const,
    ),
  ),
)
const families: readonly IpFamily[] = [4, 6]
const aDocument = '/openstack/latest/meta_data.json'
const table = 'Other ways to Nova: guests with their own documents, IPv4 and IPv6'

/** @returns how many guests and families got their own documents and nothing else */
async function own(t: Test, flavour: Flavour): Promise<number> {
  let count = 0
  for (const placed of networks[flavour].guests) {
    for (const family of families) {
      if ((await compareDocuments(t, networks[flavour], placed, family, genuine)) === true) {
        count += 1
      }
    }
  }
  return count
}

t.test('over central agents with mutual TLS, each proxy for its own networks', async (t) => {
  const folder = join(place.folder, uniqueName('tls-'))
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  const authority = new TestAuthority(folder)
  const server = authority.issue({ ipAddresses: ['127.0.0.1'], usage: 'serverAuth' })
  for (const file of Object.values(server)) chownSync(file, nobody.uid, nobody.gid)
  const host = authority.issue({ dnsNames: ['host-1.example'], usage: 'clientAuth' })
  const [a, b, isolated] = networks.ml2.guests
  const tcpPorts = await freeTcpPorts(2)
  const central = (tcpPort: number): OurAgent =>
    startAgent(t, place, {
      ports: portsSections.neutronRest(place),
      listeners: [
        {
          tcp: `127.0.0.1:${tcpPort}`,
          tls: {
            certificate_file: server.certificateFile,
            key_file: server.keyFile,
            ca_file: authority.caFile,
          },
          proxies: [
            {
              name: 'host-1.example',
              scopes: [`router/${a!.scopeId}`, `network/${isolated!.scopeId}`],
            },
          ],
        },
      ],
    })
  const agents = tcpPorts.map(central)
  for (const agent of agents) await agent.untilReady()
  const proxy = await startProxy(t, place, networks.ml2, join(folder, 'none.sock'), {
    agents: tcpPorts.map((tcpPort) => `https://127.0.0.1:${tcpPort}`) as unknown as object,
    agent: {
      tls: {
        ca_file: authority.caFile,
        certificate_file: host.certificateFile,
        key_file: host.keyFile,
      },
    },
  })
  const visit = async (what: string): Promise<void> => {
    let count = 0
    for (const placed of [a!, isolated!]) {
      for (const family of families) {
        const got = await compareDocuments(t, networks.ml2, placed, family, genuine)
        if (got === true) count += 1
      }
    }
    const refused = await networks.ml2.ask(b!, aDocument)
    t.equal(refused.status, 403, 'this proxy may not speak for the router of b')
    t.equal(refused.field('x-overlapd-reason'), 'scope_not_allowed')
    addResult(place, table, {
      way: what,
      own: `${count} of 4`,
      beside: 'b, whose router is not on the list: 403',
    })
  }
  await visit('two central agents')
  await agents[0]?.stop()
  await visit('the first one stopped')
  await proxy.stop()
})

for (const [flavour, ports] of [
  ['ml2', portsSections.neutronRpc(place)],
  ['ovn', portsSections.ovn(place, { report_agent: false })],
] as const) {
  for (const server of ['novaUwsgi', 'novaEventlet'] as const) {
    t.test(`directly from the proxy to ${server}, as leased by ${ports.kind}`, async (t) => {
      const folder = join(place.folder, uniqueName('lease-'))
      mkdirSync(folder)
      chownSync(folder, nobody.uid, nobody.gid)
      const agent = startAgent(t, place, {
        ports,
        upstreams: [urlOf(place, server)],
        sections: { leases: { enabled: true, socket: join(folder, 'lease.sock') } },
      })
      await agent.untilReady()
      const proxy = await startProxy(t, place, networks[flavour], agent.socketOf('overlapd'), {
        leases: { socket: join(folder, 'lease.sock') },
      })
      const direct = (): Promise<number> => proxy.metric('overlapd_proxy_direct_requests_total')
      // The first request of a guest asks for the lease.
      await proxy.until('a direct request', async () => {
        for (const placed of networks[flavour].guests) {
          await networks[flavour].ask(placed, aDocument)
        }
        return (await direct()) > 0
      })
      const before = await direct()
      const all = guests.length * families.length
      const count = await own(t, flavour)
      t.equal(count, all)
      const straight = (await direct()) - before
      t.ok(straight > 0, `${straight} requests went straight to Nova`)
      addResult(place, table, {
        way: `direct, ${ports.kind}, ${server}`,
        own: `${count} of ${all}`,
        beside: `${straight} requests straight to Nova`,
      })
      await proxy.stop()
    })
  }
}
