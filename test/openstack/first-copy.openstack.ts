/** What do guests get while the agent takes in the southbound database of a large cloud, at first and again? */
import { createHash, randomUUID } from 'node:crypto'
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { uniqueName } from '../support/netns.ts'
import { runningCloud, type BareGuest } from './cloud.ts'
import { run, startDaemon, stopDaemon, untilReady } from './daemon.ts'
import { instanceIn, portsSections, startAgent } from './overlapd.ts'
import { freeTcpPorts } from './place.ts'
import { addResult } from './results.ts'
import { haproxyHeaders } from './scope-headers.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place } = runningCloud()
const networks: Count = 1_000
const portsPerNetwork: Count = 100
const patience: Milliseconds = 240_000

/** Appends a transaction to a database file that no server has open. @see ovsdb(5), ovsdb/log.c */
function appendTransaction(file: string, tables: object): void {
  const text = JSON.stringify({ ...tables, _date: Date.now() })
  const digest = createHash('sha1').update(`${text}\n`).digest('hex')
  appendFileSync(file, `OVSDB JSON ${Buffer.byteLength(text) + 1} ${digest}\n${text}\n`)
}

const map = (entries: Readonly<Record<string, string>>) => ['map', Object.entries(entries)]
const projectId = randomUUID().replaceAll('-', '')

/** One network with its ports, as Neutron's driver and northd write them. @returns some of its guests */
function appendNetwork(file: string, number: number): readonly BareGuest[] {
  const networkId = randomUUID()
  const datapath = randomUUID()
  const guests = Array.from({ length: portsPerNetwork }, (_, index): BareGuest => {
    const bytes = [number >> 8, number & 255, index].map((byte) =>
      byte.toString(16).padStart(2, '0'),
    )
    return {
      instanceId: randomUUID(),
      projectId,
      portId: randomUUID(),
      mac: `fa:16:3e:${bytes.join(':')}`,
      ip: `10.0.0.${index + 2}`,
      networkId,
    }
  })
  const rows = guests.map((guest, index) => [
    randomUUID(),
    {
      logical_port: guest.portId,
      tunnel_key: index + 1,
      datapath: ['uuid', datapath],
      mac: `${guest.mac} ${guest.ip} fd00::${index + 2}`,
      external_ids: map({
        'neutron:cidrs': `${guest.ip}/24 fd00::${index + 2}/64`,
        'neutron:device_id': guest.instanceId,
        'neutron:device_owner': 'compute:nova',
        'neutron:network_name': `neutron-${networkId}`,
        'neutron:project_id': projectId,
        'neutron:revision_number': '3',
      }),
    },
  ])
  const ids = map({ 'logical-switch': randomUUID(), name: `neutron-${networkId}`, name2: 'net' })
  appendTransaction(file, {
    Datapath_Binding: { [datapath]: { tunnel_key: number + 1, external_ids: ids } },
    Port_Binding: Object.fromEntries(rows) as object,
  })
  return [guests[0]!, guests[portsPerNetwork - 1]!]
}

t.test('guests wait for the first copy of 100,000 ports, and for no later one', async (t) => {
  const folder = join(place.folder, uniqueName('large-'))
  mkdirSync(folder)
  const file = join(folder, 'sb.db')
  await run('ovsdb-tool', ['create', file, '/usr/share/ovn/ovn-sb.ovsschema'])
  const guests = Array.from({ length: networks }, (_, number) => appendNetwork(file, number)).flat()
  const [tcpPort = 0] = await freeTcpPorts(1)
  const name = uniqueName('large-sb-')
  const ready = () =>
    untilReady(
      place,
      name,
      async () => {
        const words = ['--timeout=3', 'wait', `tcp:127.0.0.1:${tcpPort}`, 'OVN_Southbound']
        await run('ovsdb-client', [...words, 'connected'])
        return true
      },
      patience,
    )
  t.teardown(() => stopDaemon(place, name))
  startDaemon(place, {
    name,
    program: '/usr/sbin/ovsdb-server',
    arguments: [
      file,
      `--remote=ptcp:${tcpPort}:127.0.0.1`,
      `--unixctl=${join(folder, 'ctl')}`,
      '--no-chdir',
      '-vconsole:warn',
    ],
    environment: { OVS_RUNDIR: folder },
  })
  await ready()

  const compute = await startTellingCompute(t, place)
  const agent = startAgent(t, place, {
    ports: portsSections.ovn(place, {
      copy: 'all',
      ovn_sb_connection: [`tcp:127.0.0.1:${tcpPort}`],
      report_agent: false,
      ovsdb_retry_max_interval: '1s',
    }),
    upstreams: [compute],
  })
  const detail = async (): Promise<string> => {
    const { parts } = await agent.readiness()
    return parts.find(({ name: part }) => part === 'directory')?.detail ?? ''
  }
  let next = 0
  let slowest: Milliseconds = 0
  const refusals = new Set<string>()
  /** @returns whether the guest whose turn it is got its own; never is it another's */
  const tryUpstream = async (): Promise<boolean> => {
    const guest = guests[next % guests.length]!
    next += 7
    const began = performance.now()
    const answer = await agent.ask('ovn', haproxyHeaders(guest, 'ovn'))
    slowest = Math.max(slowest, performance.now() - began)
    const instance = instanceIn(answer)
    if (instance === undefined) {
      refusals.add(`${answer.status} ${answer.reason}${answer.retryAfter ? ', Retry-After' : ''}`)
    } else if (instance !== guest.instanceId) {
      t.fail(`${guest.instanceId} was answered as ${instance}`)
    }
    return instance === guest.instanceId
  }
  const began = Date.now()
  await agent.until('the first guest is served', tryUpstream, patience)
  const took = Date.now() - began
  const areWaiting = (): boolean =>
    [...refusals].every((one) => /^503 directory_(?:not_ready|unavailable), Retry-After$/.test(one))
  t.ok(areWaiting(), `before, guests wait: ${[...refusals].join('; ')}`)
  t.match(await detail(), `${networks * portsPerNetwork} ports on ${networks} networks`)
  let served = 0
  for (let count = 0; count < 300; count += 1) if (await tryUpstream()) served += 1
  t.equal(served, 300, 'afterwards everybody is served')
  const row = (what: string, refused: string): void => {
    addResult(place, `A southbound database of ${networks * portsPerNetwork} ports`, {
      what,
      seconds: ((what === 'first copy' ? took : Date.now() - restarted) / 1_000).toFixed(1),
      'guests meanwhile': refused,
      'slowest answer': `${Math.round(slowest)} ms`,
    })
  }
  let restarted = began
  row('first copy', [...refusals].join('; '))

  // A standalone server knows no transaction of before: everything comes once more.
  refusals.clear()
  slowest = 0
  restarted = Date.now()
  await stopDaemon(place, name)
  startDaemon(place, name)
  const again = ready()
  await agent.until('it is noticed', async () => {
    await tryUpstream()
    return (await detail()).includes('not confirmed')
  })
  await agent.until(
    'in step again',
    async () => {
      await tryUpstream()
      return !(await detail()).includes('not confirmed')
    },
    patience,
  )
  await again
  // A server that is away for longer than max_unconfirmed lets guests wait: its copy may name an old instance.
  t.ok(areWaiting(), `nobody was refused for good: ${[...refusals].join('; ')}`)
  row('server restarted', refusals.size === 0 ? 'served' : [...refusals].join('; '))
})
