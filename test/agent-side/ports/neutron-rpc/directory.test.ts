import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { connect } from 'amqplib'
import { systemClock, type Clock } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { Secret } from '../../../../lib/runtime/secret.ts'
import { encodeReply } from '../../../support/oslo-reply.ts'
import type { NeutronRpcConfig } from '../../../../agent-side/ports/neutron-rpc/config.ts'
import type { DirectoryChange } from '../../../../agent-side/ports/directory/port-directory.ts'
import {
  guest,
  guests,
  networks,
  overlappingTopology,
  routers,
} from '../../../conformance/overlapping-topology.ts'
import { find, heard, networksOf, withPort } from '../../../conformance/port-questions.ts'
import { instanceId, ip } from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import {
  FakeNeutronRpc,
  portRows,
  type FakeNeutronOptions,
} from '../../../support/fake-neutron-rpc.ts'
import { skipUnlessRabbitMq, startRabbitMq, type RabbitMq } from '../../../support/rabbitmq.ts'
import { TcpRelay } from '../../../support/tcp-relay.ts'
import {
  makeDirectory,
  untilLive,
  untilReady,
  untilTaken,
} from '../../../support/neutron-rpc-directory.ts'
import { until } from '../../../support/until.ts'

type Opened = ReturnType<typeof makeDirectory> & {
  readonly server: FakeNeutronRpc
  readonly relay: TcpRelay
  readonly changes: readonly DirectoryChange[]
}

interface OpenOptions {
  readonly clock?: Clock
  readonly config?: Partial<NeutronRpcConfig>
  readonly server?: Partial<FakeNeutronOptions>
}

const plainQuery = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }

function tests(rabbit: RabbitMq): void {
  async function opened(t: Test, options: OpenOptions = {}): Promise<Opened> {
    const server = new FakeNeutronRpc({ ...rabbit, ...options.server })
    server.setRows(portRows(overlappingTopology()))
    await server.start()
    const relay = new TcpRelay(rabbit.tcpPort)
    await relay.open()
    const made = makeDirectory(
      { ...rabbit, tcpPort: relay.tcpPort },
      options.clock ?? systemClock,
      options.config,
    )
    const changes: DirectoryChange[] = []
    made.directory.onChange((change) => changes.push(change))
    t.teardown(async () => {
      await made.directory.close()
      await server.close()
      await relay.cut()
    })
    await made.directory.start()
    return { ...made, server, relay, changes }
  }

  /** Opened, asked once, and hearing pushes. */
  async function warm(t: Test, options: OpenOptions = {}): Promise<Opened> {
    const subject = await opened(t, options)
    await untilReady(subject.directory)
    await find(subject.directory, plainQuery)
    await untilLive(subject.directory)
    return subject
  }

  async function refusal(work: Promise<unknown>): Promise<MetadataError | undefined> {
    const thrown: unknown = await work.then(
      () => undefined,
      (error: unknown) => error,
    )
    return thrown instanceof MetadataError ? thrown : undefined
  }

  t.test('The misses of one tick are one question', async (t) => {
    const { directory, server } = await opened(t)
    await untilReady(directory)
    const ids = [networks.plain, networks.distributed, networks.twinOne, networks.isolated]
    const answers = await Promise.all(
      ids.flatMap((networkId) => [
        find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.10') }, 'cached'),
        find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.11') }, 'fresh'),
      ]),
    )
    t.equal(answers.length, 8)
    t.equal(server.questions, 1)
    await Promise.all(Object.values(routers).map((routerId) => networksOf(directory, routerId)))
    t.equal(server.questions, 2)
  })

  t.test(
    'A warm directory queries nothing: 100 guests of 5 networks, 28 requests each',
    async (t) => {
      const guestNetworks = [
        networks.plain,
        networks.distributed,
        networks.highlyAvailable,
        networks.twinOne,
        networks.isolated,
      ]
      const crowd = guestNetworks.flatMap((networkId, place) =>
        Array.from({ length: 20 }, (_, number) => ({
          ...guest(0x1000 * (place + 1) + number, 'plain', `10.0.0.${100 + number}`),
          networkId,
        })),
      )
      const { directory, server } = await warm(t)
      server.setTopology({ ...overlappingTopology(), ports: crowd })
      for (const networkId of guestNetworks) {
        await find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.100') }, 'cached')
      }
      await until(async () => (await find(directory, plainQuery, 'cached')).length === 0)
      server.heard.length = 0
      for (let request = 0; request < 28; request += 1) {
        for (const port of crowd) {
          const [fixedIp] = port.fixedIps
          const query = { networkIds: [port.networkId], ...(fixedIp && { fixedIp }) }
          const found = await find(directory, query, 'cached')
          if (found[0]?.instanceId !== port.instanceId) t.fail('a wrong instance')
        }
      }
      t.strictSame(server.heard, [])
    },
  )

  t.test('The first question after a push was published is answered right', async (t) => {
    const { directory, server } = await warm(t)
    for (let turn = 1; turn <= 50; turn += 1) {
      const instance = instanceId(0x9000 + turn)
      const told = heard(directory, (change) => change.kind === 'network')
      server.setTopology(withPort(overlappingTopology(), { ...guests.plain, instanceId: instance }))
      await told
      const found = await find(directory, plainQuery, 'cached')
      t.equal(found[0]?.instanceId, instance)
    }
  })

  t.test('What changed while the broker was away is not answered from the copy', async (t) => {
    const { directory, server, relay, changes } = await warm(t)
    await relay.cut()
    await until(() => !directory.readiness().ready)
    t.match(directory.readiness().detail, /^no broker: /)
    const known = await find(directory, plainQuery, 'cached')
    t.equal(known[0]?.instanceId, guests.plain.instanceId, 'known instances are served meanwhile')
    t.equal((await refusal(find(directory, plainQuery, 'fresh')))?.code, 'directory_unavailable')

    const instance = instanceId(0x7777)
    server.setRows(
      portRows(withPort(overlappingTopology(), { ...guests.plain, instanceId: instance })),
    )
    const again = heard(directory, () => false)
    await relay.restore()
    t.match(await again, { kind: 'all' })
    const found = await find(directory, plainQuery, 'cached')
    t.equal(found[0]?.instanceId, instance)
    await untilLive(directory)
    const all = changes.filter((change) => change.kind === 'all')
    t.equal(all.length, 2, 'as the broker went, and as it came')
  })

  t.test('A broker that falls silent and closes nothing is noticed within seconds', async (t) => {
    const { directory, server, relay, changes } = await warm(t, {
      config: { probeInterval: 1_000, maxStale: 60_000 },
    })
    t.equal(directory.isConfirmed(), true)
    const before = relay.accepted
    relay.freeze()
    const instance = instanceId(0x7778)
    server.setTopology(withPort(overlappingTopology(), { ...guests.plain, instanceId: instance }))
    await until(() => !directory.isConfirmed())
    t.match(directory.readiness(), { ready: false, detail: /the broker is silent/ })
    t.equal(changes.at(-1)?.kind, 'all', 'what was remembered is forgotten')
    const asked = { signal: new AbortController().signal, freshness: 'cached' } as const
    const { asOf } = await directory.findPorts(plainQuery, asked)
    t.ok(
      systemClock.now() - asOf >= 1_000,
      'what is held counts from when the broker last answered',
    )

    await relay.cut()
    relay.thaw()
    await relay.restore()
    await until(() => relay.accepted > before && directory.isConfirmed())
    const found = await find(directory, plainQuery)
    t.equal(found[0]?.instanceId, instance)
    await untilLive(directory)
  })

  t.test('While the broker is away answers age, and end at max_stale', async (t) => {
    const clock = new FakeClock()
    const { directory, relay, metric } = await warm(t, { clock, config: { maxStale: 60_000 } })
    t.equal(await metric('confirmed'), 1)
    t.equal(await metric('answers_total', { from: 'stale_copy' }), 0)
    await clock.advance(5_000)
    await relay.cut()
    await until(() => !directory.readiness().ready)
    const left = clock.now()
    await clock.advance(59_000)
    const asked = { signal: new AbortController().signal, freshness: 'cached' } as const
    const answer = await directory.findPorts(plainQuery, asked)
    t.equal(answer.asOf, left, 'right until the broker was lost')
    t.equal(answer.ports.length, 1)
    t.equal(await metric('answers_total', { from: 'stale_copy' }), 1)
    t.equal(await metric('confirmed'), 0)
    await clock.advance(2_000)
    t.equal((await refusal(find(directory, plainQuery, 'cached')))?.code, 'directory_unavailable')
  })

  t.test(
    'A server that does not answer is a time-out, and its late answer is dropped',
    async (t) => {
      const clock = new FakeClock()
      const { directory, server, metric } = await opened(t, { clock })
      await untilReady(directory)
      const silent = { release: (): void => undefined }
      server.override = ({ method }) =>
        method === 'get_ports'
          ? new Promise((resolve) => {
              silent.release = () => resolve({ result: [] })
            })
          : undefined
      const asked = refusal(find(directory, plainQuery))
      await server.request(({ method }) => method === 'get_ports')
      await untilTaken(clock)
      await clock.advance(8_000)
      t.equal((await asked)?.code, 'directory_timeout')
      await clock.advance(52_000)
      t.equal(await metric('queries_total', { kind: 'get_ports', outcome: 'timeout' }), 1)
      t.equal(directory.readiness().ready, false)
      t.match(directory.readiness().detail, /no Neutron server answers/)

      server.override = undefined
      silent.release()
      await until(
        async () => (await metric('dropped_messages_total', { reason: 'late_reply' })) === 1,
      )
      const found = await find(directory, plainQuery)
      t.equal(found.length, 1, 'the next question is none the slower')
      t.equal(directory.readiness().ready, true)
    },
  )

  t.test('Without any server a question fails at once', async (t) => {
    const { directory } = await opened(t, { server: { serves: false } })
    const error = await (async () => {
      for (;;) {
        const thrown = await refusal(find(directory, plainQuery))
        if (thrown?.code !== 'directory_not_ready') return thrown
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    t.equal(error?.code, 'directory_unavailable')
    t.match(error?.message, /no queue takes messages for "q-plugin"/)
    t.equal(directory.readiness().ready, false)
  })

  t.test(
    'An exception of the server is an error, and none of its words reach the guest',
    async (t) => {
      const { directory, server } = await opened(t)
      await untilReady(directory)
      server.override = ({ method }) =>
        method === 'get_ports'
          ? { failure: { class: 'DBConnectionError', message: 'gone', module: 'oslo_db' } }
          : undefined
      const error = await refusal(find(directory, plainQuery))
      t.equal(error?.code, 'directory_unavailable')
      t.match(error?.details, { remoteClass: 'DBConnectionError', remoteMessage: 'gone' })
      t.equal(directory.readiness().ready, true, 'a server is there')
    },
  )

  t.test('A port that cannot be read spoils its own network only', async (t) => {
    const { directory, server } = await opened(t)
    await untilReady(directory)
    const rows = portRows(overlappingTopology())
    server.setRows([
      ...rows,
      { id: 'broken', network_id: networks.plain, mac_address: 5, fixed_ips: [] },
    ])
    const isolated = { networkIds: [networks.isolated], fixedIp: ip('10.0.0.10') }
    const [spoilt, whole] = await Promise.all([
      refusal(find(directory, plainQuery)),
      find(directory, isolated),
    ])
    t.equal(spoilt?.code, 'directory_unavailable')
    t.equal(whole[0]?.instanceId, guests.isolated.instanceId)
    server.override = ({ method }) =>
      method === 'get_ports' ? { result: { not: 'a list' } } : undefined
    t.equal((await refusal(find(directory, isolated, 'cached')))?.code, undefined, 'still held')
    const other = { networkIds: [networks.twinOne], fixedIp: ip('10.0.0.10') }
    t.equal((await refusal(find(directory, other)))?.code, 'directory_unavailable')
  })

  t.test('A server that ignores filters makes no wrong match', async (t) => {
    const { directory, server } = await opened(t)
    await untilReady(directory)
    server.override = ({ method }) =>
      method === 'get_ports' ? { result: portRows(overlappingTopology()) } : undefined
    const query = { networkIds: [networks.distributed], fixedIp: ip('10.0.0.10') }
    t.strictSame(
      (await find(directory, query)).map((port) => port.instanceId),
      [guests.distributed.instanceId],
    )
    t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
    t.strictSame(await networksOf(directory, routers.unknown), [])
  })

  t.test('Where nothing is pushed, answers are requested anew after max_age', async (t) => {
    const clock = new FakeClock()
    const { directory, server } = await opened(t, { clock, server: { hasObjects: false } })
    await untilReady(directory)
    await until(() => directory.readiness().detail.startsWith('the servers push no ports'))
    await find(directory, plainQuery, 'cached')
    await find(directory, plainQuery, 'cached')
    t.equal(server.questions, 1)
    await find(directory, plainQuery, 'fresh')
    t.equal(server.questions, 2, 'fresh is asked')
    await clock.advance(10_001)
    await find(directory, plainQuery, 'cached')
    t.equal(server.questions, 3)
  })

  t.test('A pushed version that had no subscription is found and received', async (t) => {
    const { directory, server } = await warm(t, { server: { version: '1.31' } })
    const told = heard(directory, (change) => change.kind === 'network')
    const instance = instanceId(0x7778)
    server.setTopology(withPort(overlappingTopology(), { ...guests.plain, instanceId: instance }))
    await told
    t.equal((await find(directory, plainQuery, 'cached'))[0]?.instanceId, instance)
  })

  t.test('A change that is never pushed ends the trust in pushes', async (t) => {
    const clock = new FakeClock()
    const { directory, server, metric, changes } = await warm(t, { clock })
    const instance = instanceId(0x7779)
    const rows = portRows(
      withPort(overlappingTopology(), { ...guests.plain, instanceId: instance }),
    )
    server.setRows(rows.map((row) => ({ ...row, revision_number: 2 })))
    await clock.advance(300_001)
    const old = await find(directory, plainQuery, 'cached')
    t.equal(old[0]?.instanceId, guests.plain.instanceId, 'used while it is fetched anew')
    await until(() => changes.some((change) => change.kind === 'network'))
    t.equal((await find(directory, plainQuery, 'cached'))[0]?.instanceId, instance)
    await clock.advance(20_001)
    t.equal(await metric('lost_pushes_total'), 1)
    t.match(directory.readiness(), { ready: true, detail: /^pushes were lost/ })
    t.match(changes.at(-1), { kind: 'all' })
    await clock.advance(600_000)
    await find(directory, plainQuery, 'cached')
    await untilLive(directory)
  })

  t.test('A push that cannot be read ends the trust in pushes', async (t) => {
    const { directory, server, metric } = await warm(t)
    server.push({ resource_list: 'nonsense', event_type: 'updated' })
    await until(() => directory.readiness().detail.startsWith('pushes were lost'))
    t.equal(await metric('changes_total', { event: 'unreadable' }), 1)
  })

  t.test(
    'An unusual verdict is checked at most once per verify_interval and network',
    async (t) => {
      const clock = new FakeClock()
      const { directory, server } = await warm(t, { clock })
      server.heard.length = 0
      const nobody = { networkIds: [networks.plain], fixedIp: ip('10.0.0.99') }
      for (let turn = 0; turn < 100; turn += 1) await find(directory, nobody, 'fresh')
      t.equal(server.questions, 0, 'fetched a moment ago')
      await clock.advance(10_001)
      for (let turn = 0; turn < 100; turn += 1) await find(directory, nobody, 'fresh')
      t.equal(server.questions, 1)
    },
  )

  t.test('A network too large to hold is queried address by address', async (t) => {
    const { directory, server } = await opened(t, { config: { networkPorts: 3 } })
    await untilReady(directory)
    const found = await find(directory, plainQuery)
    t.strictSame(
      found.map((port) => port.instanceId),
      [guests.plain.instanceId],
    )
    const both = { ...plainQuery, macAddress: guests.plainNeighbour.macAddress }
    t.equal((await find(directory, both)).length, 2)
    const asked = server.heard.filter(({ method }) => method === 'get_ports').at(-1)
    t.match(asked?.args, { filters: { network_id: [networks.plain] } })
    const told = heard(directory, (change) => change.kind === 'network')
    server.pushDeleted('c0000000-0000-4000-8000-0000000000aa')
    t.match(await told, { kind: 'network', networkId: networks.plain })
  })

  t.test('A guest that leaves ends its own waiting only', async (t) => {
    const { directory, server } = await opened(t)
    await untilReady(directory)
    const gate = { open: (): void => undefined }
    server.override = ({ method }) =>
      method === 'get_ports'
        ? new Promise((resolve) => {
            gate.open = () => resolve({ result: portRows(overlappingTopology()) })
          })
        : undefined
    const leaving = new AbortController()
    const left = directory.findPorts(plainQuery, { signal: leaving.signal, freshness: 'cached' })
    const stays = find(directory, plainQuery, 'cached')
    await server.request(({ method }) => method === 'get_ports')
    leaving.abort(new Error('left'))
    await t.rejects(Promise.resolve(left), { message: 'left' })
    gate.open()
    t.equal((await stays)[0]?.instanceId, guests.plain.instanceId)
    t.equal(server.questions, 1)
  })

  t.test('More questions than may wait are refused', async (t) => {
    const { directory, server } = await opened(t, { config: { queue: 1, concurrency: 1 } })
    await untilReady(directory)
    const outcomes = await Promise.all(
      [networks.plain, networks.isolated].map((networkId) =>
        refusal(find(directory, { networkIds: [networkId], fixedIp: ip('10.0.0.10') })),
      ),
    )
    t.strictSame(
      outcomes.map((error) => error?.code),
      [undefined, 'directory_unavailable'],
    )
    t.equal(server.questions, 1)
  })

  t.test('State is reported by a call at the start and by messages after it', async (t) => {
    const clock = new FakeClock()
    const reportedConfigurations = { nova_metadata_host: 'nova' }
    const { server } = await opened(t, {
      clock,
      config: { reportInterval: 30_000, reportedConfigurations },
    })
    const first = await server.request(({ method }) => method === 'report_state')
    t.equal(first.isCall, true)
    t.match(first.args, {
      time: '2026-01-01T00:00:00.000000',
      agent_state: {
        agent_state: {
          binary: 'neutron-metadata-agent',
          agent_type: 'Metadata agent',
          host: 'test-host',
          topic: 'N/A',
          start_flag: true,
          configurations: { nova_metadata_host: 'nova' },
        },
      },
    })
    await clock.untilWaiting(1)
    const later = server.request((heard) => heard.method === 'report_state' && !heard.isCall)
    // The call must be over before its successor is sent.
    await until(async () => {
      await untilTaken(clock)
      await clock.advance(30_000)
      return server.heard.some((heard) => heard.method === 'report_state' && !heard.isCall)
    })
    t.notOk('start_flag' in Object((await later).args['agent_state']).agent_state)
    t.notOk('resource_versions' in Object(first.args['agent_state']).agent_state)
  })

  t.test('A reply without a caller and a broken reply are counted and harmless', async (t) => {
    const { directory, server, metric } = await warm(t)
    const queue = { name: '' }
    server.override = undefined
    const model = await connect(`amqp://neutron:secret@127.0.0.1:${rabbit.tcpPort}`)
    const channel = await model.createChannel()
    t.teardown(() => model.close())
    // The reply queue stands in each call; a stranger reads one call off a copy of the topic.
    await channel.assertQueue('spy', { autoDelete: true, durable: false })
    await channel.bindQueue('spy', 'neutron', 'q-plugin')
    const seen = new Promise<string>((resolve) => {
      void channel.consume('spy', (message) => {
        const text = String(message?.content)
        resolve(/reply_[0-9a-f]{32}/.exec(text)?.[0] ?? '')
      })
    })
    await find(directory, { networkIds: [networks.isolated], fixedIp: ip('10.0.0.10') })
    queue.name = await seen
    t.match(queue.name, /^reply_/)
    server.sendTo(queue.name, encodeReply('nobody', { result: [] }))
    server.sendTo(queue.name, Buffer.from('{'))
    await until(async () => (await metric('dropped_messages_total')) === 2)
    t.equal((await find(directory, plainQuery)).length, 1)
  })

  t.test('A queue that is deleted under the directory is made again', async (t) => {
    const { directory, changes, relay } = await warm(t)
    const model = await connect(`amqp://neutron:secret@127.0.0.1:${rabbit.tcpPort}`)
    const channel = await model.createChannel()
    t.teardown(() => model.close())
    await channel.assertQueue('spy2', { autoDelete: true, durable: false })
    await channel.bindQueue('spy2', 'neutron', 'q-plugin')
    const seen = new Promise<string>((resolve) => {
      void channel.consume('spy2', (message) => {
        resolve(/reply_[0-9a-f]{32}/.exec(String(message?.content))?.[0] ?? '')
      })
    })
    await find(directory, { networkIds: [networks.isolated], fixedIp: ip('10.0.0.10') })
    const before = relay.accepted
    await channel.deleteQueue(await seen)
    await until(() => relay.accepted > before)
    await untilReady(directory)
    t.ok(changes.some((change) => change.kind === 'all'))
    t.equal((await find(directory, plainQuery)).length, 1)
  })

  t.test('A wrong password is reported, and tried again with growing pauses only', async (t) => {
    const clock = new FakeClock()
    const relay = new TcpRelay(rabbit.tcpPort)
    await relay.open()
    const { directory } = makeDirectory(
      { ...rabbit, tcpPort: relay.tcpPort, password: 'wrong' },
      clock,
      { reconnectDelayMin: 1_000, reconnectDelayMax: 8_000 },
    )
    t.teardown(async () => {
      await directory.close()
      await relay.cut()
    })
    await directory.start()
    await until(() => directory.readiness().detail.includes('ACCESS_REFUSED'))
    const { detail } = directory.readiness()
    t.notMatch(detail, /wrong/)
    t.equal(relay.accepted, 1)
    await clock.untilWaiting(1)
    await clock.advance(499)
    t.equal(relay.accepted, 1, 'not before half of the first pause')
    await clock.advance(501)
    await until(() => relay.accepted === 2)
    t.equal((await refusal(find(directory, plainQuery)))?.code, 'directory_not_ready')
  })

  t.test('Of several brokers the next is taken when one is away', async (t) => {
    const server = new FakeNeutronRpc(rabbit)
    server.setRows(portRows(overlappingTopology()))
    await server.start()
    const first = new TcpRelay(rabbit.tcpPort)
    const second = new TcpRelay(rabbit.tcpPort)
    await first.open()
    await second.open()
    const { username, password } = rabbit
    const hosts = [first, second].map(
      ({ tcpPort }) => `${username}:${password}@127.0.0.1:${tcpPort}`,
    )
    const transportUrl = new Secret(`rabbit://${hosts.join(',')}/`)
    const { directory } = makeDirectory(rabbit, systemClock, { transportUrl })
    t.teardown(async () => {
      await directory.close()
      await server.close()
      await first.cut()
      await second.cut()
    })
    await directory.start()
    await untilReady(directory)
    const used = first.accepted > 0 ? first : second
    const other = used === first ? second : first
    await used.cut()
    await until(() => other.accepted > 0)
    await untilReady(directory)
    t.equal((await find(directory, plainQuery)).length, 1)
  })

  t.test('Quorum queues carry answers and pushes too', async (t) => {
    const { directory, server } = await warm(t, { config: { transientQuorumQueue: true } })
    const told = heard(directory, (change) => change.kind === 'network')
    const instance = instanceId(0x777a)
    server.setTopology(withPort(overlappingTopology(), { ...guests.plain, instanceId: instance }))
    await told
    t.equal((await find(directory, plainQuery, 'cached'))[0]?.instanceId, instance)
  })

  t.test('An exchange that exists with other properties is used as it is', async (t) => {
    // The fake server's control exchange is transient, as is the fanout exchange that it pushes to.
    const { directory } = await opened(t, { config: { transientQuorumQueue: false } })
    await untilReady(directory)
    t.equal((await find(directory, plainQuery)).length, 1)
  })

  t.test(
    'A broker that takes no messages is no broker, since servers cannot push either',
    async (t) => {
      const { directory, changes, server } = await warm(t, {
        config: { reportInterval: 50, timeoutQuery: 1_000 },
      })
      // The broker tells only those who publish.
      const told = until(() => directory.readiness().detail.includes('takes no messages'))
      await rabbit.control('set_vm_memory_high_watermark', '0')
      await told
      t.equal((await refusal(find(directory, plainQuery, 'fresh')))?.code, 'directory_unavailable')
      t.equal((await find(directory, plainQuery, 'cached')).length, 1)
      await rabbit.control('set_vm_memory_high_watermark', '0.4')
      await untilReady(directory)
      t.ok(changes.some((change) => change.kind === 'all'))
      const before = server.questions
      await find(directory, plainQuery, 'cached')
      t.ok(server.questions > before, 'fetched again')
    },
  )

  t.test('TLS to the broker: authority, host name and client certificate count', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
    const at = (name: string): string => join(folder, name)
    const words =
      'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost'
    execFileSync('openssl', [...words.split(' '), '-keyout', at('key'), '-out', at('cert')], {
      stdio: 'ignore',
    })
    const pem = { key: readFileSync(at('key')), cert: readFileSync(at('cert')) }
    const relay = new TcpRelay(rabbit.tcpPort, {
      ...pem,
      ca: pem.cert,
      requestCert: true,
      rejectUnauthorized: true,
    })
    await relay.open()
    const server = new FakeNeutronRpc(rabbit)
    await server.start()
    t.teardown(async () => {
      await server.close()
      await relay.cut()
      rmSync(folder, { recursive: true })
    })
    const url = (host: string, query: string): Secret =>
      new Secret(
        `rabbit://${rabbit.username}:${rabbit.password}@${host}:${relay.tcpPort}/?${query}`,
      )
    const ours = `ssl_ca_file=${at('cert')}&ssl_cert_file=${at('cert')}&ssl_key_file=${at('key')}`
    const tls = { verifyHostname: false, insecure: false }
    const cases: readonly [string, Partial<NeutronRpcConfig>, RegExp | 'ready'][] = [
      ['all in the URL', { transportUrl: url('localhost', `ssl=true&${ours}`) }, 'ready'],
      ['another name', { transportUrl: url('127.0.0.1', `ssl=true&${ours}`) }, /altnames|IP/],
      ['another name, allowed', { transportUrl: url('127.0.0.1', ours), tls }, 'ready'],
      ['no authority', { transportUrl: url('localhost', 'ssl=true') }, /self-signed/],
      [
        'no certificate',
        { transportUrl: url('localhost', `ssl=1&ssl_ca_file=${at('cert')}`) },
        /./,
      ],
      ['no file', { transportUrl: url('localhost', 'ssl=1&ssl_ca_file=/nowhere') }, /ENOENT/],
    ]
    for (const [name, config, expected] of cases) {
      const { directory } = makeDirectory(rabbit, systemClock, config)
      await directory.start()
      if (expected === 'ready') await untilReady(directory)
      else await until(() => !directory.readiness().detail.includes('not connected yet'))
      const { ready, detail } = directory.readiness()
      t.equal(ready, expected === 'ready', `${name}: ${detail}`)
      if (expected !== 'ready') t.match(detail, expected, name)
      await directory.close()
    }
  })

  t.test('Closing deletes the queues', async (t) => {
    const { directory } = await warm(t)
    await directory.close()
    await directory.close()
    t.equal((await refusal(find(directory, plainQuery, 'fresh')))?.code, 'directory_unavailable')
    t.equal(directory.readiness().ready, false)
  })
}

if (skipUnlessRabbitMq(t)) {
  const rabbit = await startRabbitMq()
  t.teardown(() => rabbit.close())
  tests(rabbit)
}
