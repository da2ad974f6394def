/** How many changes of ports can one agent take from RabbitMQ, and what does each cost the broker? */
import { performance } from 'node:perf_hooks'
import { overlappingTopology, guests } from '../../conformance/overlapping-topology.ts'
import { FakeNeutronRpc, portRows, type PortRow } from '../../support/fake-neutron-rpc.ts'
import { makeDirectory } from '../../support/neutron-rpc-directory.ts'
import { startRabbitMq } from '../../support/rabbitmq.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { cpuTimeOf, processTree } from '../process-figures.ts'
import { when } from './host-session.ts'

/** What one delivery costs. */
export interface PushFigures {
  readonly pushes: number
  readonly agents: number
  /** Of the agent, for one delivery. */
  readonly agentCpuMs: number
  /** Of the broker, for one delivery. */
  readonly brokerCpuMs: number
}

const longest = 300
/** Ports of networks that the agent never queried: nearly all of a large cloud. */
const elsewhere = 'f0000000-0000-4000-8000-000000000001'

function brokerCpu(): number {
  const children = processTree(process.pid).filter((pid) => pid !== process.pid)
  return children.reduce((sum, pid) => sum + cpuTimeOf(pid), 0)
}

function ownCpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Publishes the same changes with no agent and with some, in one process: the difference is that of the agents. */
export async function measurePushes(pushes: number, agents: number): Promise<PushFigures> {
  const rabbit = await startRabbitMq()
  const neutron = new FakeNeutronRpc(rabbit)
  const row: PortRow = {
    ...(portRows({ ...overlappingTopology(), ports: [guests.plain] })[0] as PortRow),
    network_id: elsewhere,
  }
  const publish = async (count: number, isDone: () => Promise<boolean>): Promise<number[]> => {
    const [own, broker] = [ownCpu(), brokerCpu()]
    for (let at = 0; at < count; at += 1) {
      neutron.pushUpdated({ ...row, revision_number: at + 2 })
      if (at % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const end = performance.now() + longest * 1_000
    while (!(await isDone()) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return [ownCpu() - own, brokerCpu() - broker]
  }
  try {
    await neutron.start()
    const [alone = 0, aloneBroker = 0] = await publish(pushes, async () => {
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      return true
    })
    const opened = Array.from({ length: agents }, () => makeDirectory(rabbit, systemClock))
    for (const { directory } of opened) await directory.start()
    await when(() => opened.every(({ directory }) => directory.readiness().ready), longest)
    const [own = 0, broker = 0] = await publish(pushes, async () => {
      const seen = await Promise.all(
        opened.map(({ metric }) => metric('changes_total', { event: 'updated' })),
      )
      return seen.every((count) => count >= pushes)
    })
    for (const { directory } of opened) await directory.close()
    return {
      pushes,
      agents,
      agentCpuMs: (own - alone) / pushes / agents,
      brokerCpuMs: (broker - aloneBroker) / pushes / agents,
    }
  } finally {
    await neutron.close()
    await rabbit.close()
  }
}
