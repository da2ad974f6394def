/** Where is a session token worth something, and where not, on all the ways on which requests come to agents? */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { guestPort, ioTurns, startLeasePair } from '../support/lease-pair.ts'
import { get, type RawAnswer } from '../support/raw-http.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type Fields, type RunningAgent } from '../support/start-agent.ts'
import { TestAuthority, withoutOpenssl } from '../support/test-authority.ts'
import { connectAs, tcpPortOf, tlsListener } from '../support/tls-agent.ts'

const life = ['X-aws-ec2-metadata-token-ttl-seconds', '60'] as const
const tokenField = 'X-aws-ec2-metadata-token'
const userData = '/openstack/latest/user_data'

/** A way to an agent, as whoever is at its other end may present a guest. */
interface Way {
  readonly name: string
  /** Ways with one name here are one holder: one port, one MAC, one namespace. */
  readonly holder: string
  readonly agent: RunningAgent
  readonly listener: 'overlapd' | 'ml2' | 'ovn' | 'tls'
  readonly fields: Fields
}

/** A proxy of ours on a network of that number. */
function ours(network: number, address: string, source?: MacAddress): Fields {
  const fields: Fields = [
    ['X-Neutron-Network-ID', networkId(network)],
    ['X-Forwarded-For', address],
  ]
  return source === undefined ? fields : [...fields, ['X-Overlapd-Source-MAC', source]]
}

/** Neutron's haproxy: a scope and an address, and no MAC. */
function haproxys(scope: string, id: string, address = '10.0.0.10'): Fields {
  return [
    [scope, id],
    ['X-Forwarded-For', address],
  ]
}

async function start(t: Test, authority: TestAuthority, keyFile: string): Promise<RunningAgent> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock, { answersAtOnce: true })
  directory.setPorts(
    port(1, 1, '10.0.0.10'),
    // Beside it on its network, and with its address and MAC on another.
    port(2, 1, '10.0.0.11'),
    port(3, 2, '10.0.0.10', mac(1)),
  )
  directory.setRouter(routerId(1), [networkId(1)])
  directory.setRouter(routerId(2), [networkId(2)])
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const policyFile = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(policyFile, 'default: { token: enforce }')
  const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
  return await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    config: {
      shield: { policy_file: policyFile, token_key_files: [keyFile] },
      listeners: [
        { kind: 'overlapd', socket: 'overlapd.sock', mode: '0600' },
        { kind: 'neutron', flavour: 'ml2', socket: 'ml2.sock', mode: 'user' },
        { kind: 'neutron', flavour: 'ovn', socket: 'ovn.sock', mode: 'user' },
        tlsListener(authority, server, { proxies: [{ name: 'host-a', scopes: ['*'] }] }),
      ],
    },
  })
}

function port(number: number, network: number, address: string, source = mac(number)) {
  return {
    portId: portId(number),
    networkId: networkId(network),
    macAddress: source,
    fixedIps: [ip(address)],
    instanceId: instanceId(number),
    projectId: projectId(network),
  }
}

function waysTo(agent: RunningAgent, of: string): readonly Way[] {
  const way = (name: string, holder: string, listener: Way['listener'], fields: Fields): Way => ({
    name: `${name}, ${of}`,
    holder,
    agent,
    listener,
    fields,
  })
  const withMac = ours(1, '10.0.0.10', mac(1))
  const network = 'X-Neutron-Network-ID'
  const router = 'X-Neutron-Router-ID'
  return [
    way('our proxy', 'port 1 by its MAC', 'overlapd', withMac),
    way('our proxy over TLS', 'port 1 by its MAC', 'tls', withMac),
    way('our proxy without a SYN', 'port 1 by its address', 'overlapd', ours(1, '10.0.0.10')),
    way('haproxy', 'port 1 by its address', 'ml2', haproxys(network, networkId(1))),
    way(
      'haproxy of OVN',
      'port 1 by its address',
      'ovn',
      haproxys('X-OVN-Network-ID', networkId(1)),
    ),
    way('haproxy of its router', 'port 1 by router', 'ml2', haproxys(router, routerId(1))),
    way('its neighbour', 'port 2 by its MAC', 'overlapd', ours(1, '10.0.0.11', mac(2))),
    way(
      'its neighbour',
      'port 2 by its address',
      'ml2',
      haproxys(network, networkId(1), '10.0.0.11'),
    ),
    way('its double elsewhere', 'port 3 by its MAC', 'overlapd', ours(2, '10.0.0.10', mac(1))),
    way('its double elsewhere', 'port 3 by its MAC', 'tls', ours(2, '10.0.0.10', mac(1))),
    way('its double elsewhere', 'port 3 by its address', 'ml2', haproxys(network, networkId(2))),
    way('its double elsewhere', 'port 3 by router', 'ml2', haproxys(router, routerId(2))),
  ]
}

t.test(
  'a token made on one way counts on every way of its port, MAC and namespace, and on no other',
  { skip: withoutOpenssl() },
  async (t) => {
    const folder = scratchFolder(t)
    const authority = new TestAuthority(folder)
    const client = authority.issue({ commonName: 'host-a' })
    const keyFiles = ['first', 'second'].map((name) => {
      const file = join(folder, `${name}.key`)
      writeFileSync(file, `${name} key of these tests, long enough`, { mode: 0o600 })
      return file
    })
    const [central, twin, stranger] = await Promise.all([
      start(t, authority, keyFiles[0]!),
      start(t, authority, keyFiles[0]!),
      start(t, authority, keyFiles[1]!),
    ])
    const send = async (
      way: Way,
      method: string,
      target: string,
      more: Fields,
    ): Promise<RawAnswer> => {
      const fields = [...way.fields, ...more]
      if (way.listener !== 'tls') {
        const { listener } = way
        const answer = await way.agent.ask(target, fields, { listener, method })
        if (answer === undefined) throw new Error(`No answer to ${way.name}`)
        return answer
      }
      const connection = await connectAs(t, await tcpPortOf(way.agent), authority, client)
      const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      void connection.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`)
      const answer = await connection.answer()
      connection.close()
      if (answer === undefined) throw new Error(`No answer to ${way.name}`)
      return answer
    }
    const own = waysTo(central, 'one agent')
    const all = [...own, ...waysTo(twin, 'another agent with the key')]
    const foreign = waysTo(stranger, 'an agent with another key')
    let [accepted, refused] = [0, 0]
    for (const from of own) {
      const made = await send(from, 'PUT', '/latest/api/token', [life])
      t.match(made.body.toString(), /^[\w-]{56}$/, `a token by ${from.name}`)
      const token: Fields = [[tokenField, made.body.toString()]]
      for (const to of [...all, ...foreign]) {
        const answer = await send(to, 'GET', userData, token)
        const isHolder = from.holder === to.holder && !foreign.includes(to)
        const word = `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()
        if (isHolder) accepted += 1
        else refused += 1
        const what = `${from.holder} by ${from.name} → ${to.holder} by ${to.name}`
        t.equal(word, isHolder ? '200' : '401 token_invalid', what)
      }
    }
    t.comment(`${accepted} accepted, ${refused} refused`)
  },
)

t.test('a token makes no difference to what a worker serves under a lease', async (t) => {
  const [guest, neighbour] = [guestPort(1), guestPort(2, { fixedIps: [ip('127.0.1.2')] })]
  const policyFile = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(policyFile, '')
  const { worker, agent, directory, upstream } = await startLeasePair(t, {
    config: { shield: { policy_file: policyFile } },
  })
  directory.setPorts(guest, neighbour)
  directory.remember()
  const ask = async (as: typeof guest, request: string): Promise<RawAnswer> => {
    const connection = await worker.connectAs(as)
    void connection.write(request)
    const answer = await connection.answer()
    connection.close()
    if (answer === undefined) throw new Error('No answer')
    return answer
  }
  for (const one of [guest, neighbour]) await worker.askUntilLeased(one)
  const before = await worker.direct()
  const put = get('/latest/api/token', 'Content-Length: 0', life.join(': ')).replace('GET', 'PUT')
  const made = await ask(guest, put)
  const field = `${tokenField}: ${made.body.toString()}`
  t.match(made.body.toString(), /^[\w-]{56}$/)
  const stolen = await ask(neighbour, get(userData, field))
  t.equal(
    stolen.body.toString(),
    neighbour.instanceId,
    'its own document, while tokens are observed',
  )
  t.equal((await ask(guest, get(userData, field))).body.toString(), guest.instanceId)
  t.equal(await worker.direct(), before, 'nothing with a token goes under the lease')
  const looked = /^overlapd_agent_shield_tokens_total\{outcome="(valid|foreign)"\} 1$/gm
  t.equal((await agent.text('/metrics')).match(looked)?.length, 2)

  writeFileSync(policyFile, 'default: { token: enforce }')
  agent.agent.reload()
  while ((await worker.leases()) > 0) await ioTurns()
  const requests = upstream.requests.length
  const replayed = await ask(neighbour, get(userData, field))
  t.equal(replayed.field('x-overlapd-reason'), 'token_invalid')
  t.equal(upstream.requests.length, requests)
  t.equal((await ask(guest, get(userData, field))).status, 200, 'made while there was a lease')
})
