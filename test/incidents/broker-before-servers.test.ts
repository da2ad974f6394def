// With rabbit_quorum_queue and an empty broker the agent made the exchange "neutron" as transient, and genuine servers could not start
// (406); under the broker's memory alarm a first question waited 8 s. Right: the exchange is the servers' to make, whatever its kind, and
// a question that the broker does not take is refused within 2 s.
import { connect } from 'amqplib'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { guests, networks, overlappingTopology } from '../conformance/overlapping-topology.ts'
import { find } from '../conformance/port-questions.ts'
import { ip } from '../conformance/topology.ts'
import { FakeNeutronRpc, portRows } from '../support/fake-neutron-rpc.ts'
import { makeDirectory, untilLive, untilReady } from '../support/neutron-rpc-directory.ts'
import { until } from '../support/until.ts'
import { skipUnlessRabbitMq, startRabbitMq, type RabbitMq } from '../support/rabbitmq.ts'

const known = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
const unknown = { networkIds: [networks.twinOne], fixedIp: ip('10.0.0.10') }

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  return thrown instanceof MetadataError ? thrown.code : undefined
}

async function declared(rabbit: RabbitMq, exchange: string, durable: boolean): Promise<void> {
  const { tcpPort, username, password } = rabbit
  const model = await connect(`amqp://${username}:${password}@127.0.0.1:${tcpPort}/%2F`)
  model.on('error', () => undefined)
  const channel = await model.createChannel()
  channel.on('error', () => undefined)
  try {
    await channel.assertExchange(exchange, 'topic', { durable, autoDelete: false })
  } finally {
    await model.close()
  }
}

function opened(t: Test, rabbit: RabbitMq, controlExchange = 'neutron') {
  const { directory } = makeDirectory(rabbit, systemClock, { controlExchange })
  t.teardown(() => directory.close())
  return directory
}

function tests(rabbit: RabbitMq): void {
  for (const durable of [true, false]) {
    t.test(`servers make their exchange after the agent came, durable ${durable}`, async (t) => {
      const exchange = `neutron-${durable}`
      const directory = opened(t, rabbit, exchange)
      await directory.start()
      await until(() => directory.readiness().detail.startsWith('connected, but no'))
      t.equal(await codeOf(find(directory, known)), 'directory_unavailable')
      await t.resolves(declared(rabbit, exchange, durable))
    })
  }

  t.test(
    'a broker under its memory alarm takes no query, and no caller waits for it',
    async (t) => {
      const server = new FakeNeutronRpc({ ...rabbit })
      server.setRows(portRows(overlappingTopology()))
      await server.start()
      t.teardown(() => server.close())
      const directory = opened(t, rabbit)
      await directory.start()
      await untilReady(directory)
      await find(directory, known)
      await untilLive(directory)
      await rabbit.control('set_vm_memory_high_watermark', '0')
      t.equal(await codeOf(find(directory, unknown)), 'directory_unavailable', 'not a time-out')
      // By the broker's own word, not because it has been silent for so long.
      t.match(directory.readiness().detail, /the broker takes no messages/)
      const [port] = await find(directory, known, 'cached')
      t.equal(port?.instanceId, guests.plain.instanceId, 'what is held is answered from at once')
      await rabbit.control('set_vm_memory_high_watermark', '0.4')
      await untilReady(directory)
      t.equal((await find(directory, unknown)).length, 1)
    },
  )
}

if (skipUnlessRabbitMq(t)) {
  const rabbit = await startRabbitMq()
  t.teardown(() => rabbit.close())
  tests(rabbit)
}
