/**
 * The agent of one host that has its copy already: the real client and the real conditions, but nothing is kept. What it costs
 * to make a thousand first copies is not what a restart costs.
 */
import type { Socket } from 'node:net'
import { ovnTable } from '../../../agent-side/ports/ovn/config.ts'
import { southboundTables } from '../../../agent-side/ports/ovn/schema.ts'
import { conditionsOf, type Clause } from '../../../agent-side/ports/ovn/served-rows.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { Conditions } from '../../../lib/ovsdb/row-selection.ts'
import { ovsdbLimits } from '../../../lib/ovsdb/options.ts'
import { OvsdbSession } from '../../../lib/ovsdb/session.ts'
import { readTableUpdates } from '../../../lib/ovsdb/table-updates.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { datapathOf, interfaceOf, networkIdOf } from './cloud-rows.ts'
import { CountedSockets } from './counted-sockets.ts'

const database = 'OVN_Southbound'
const noTransaction = '00000000-0000-0000-0000-000000000000'

function configOf(endpoint: string): ReturnType<typeof loadConfig<typeof ovnTable>>['config'] {
  const set = [`ovn_sb_connection=${JSON.stringify([endpoint])}`, 'ovsdb_connection_timeout=30m']
  return loadConfig(ovnTable, { environment: {}, environmentPrefix: 'OVERLAPD_BENCH', set }).config
}

/** What the directory of a host selects that serves these networks. */
function conditionsFor(networks: readonly number[]): Conditions {
  const clauses = networks.flatMap((network): Clause[] => [
    `name neutron-${networkIdOf(network)}`,
    `uuid ${networkIdOf(network)}`,
    `datapath ${datapathOf(network)}`,
    `port lrp-${interfaceOf(network)}`,
  ])
  return conditionsOf(new Set(clauses))
}

/** The transaction from which sessions may be resumed now. */
export async function lastTransaction(endpoint: string): Promise<string> {
  const [to] = configOf(endpoint).ovn_sb_connection
  if (to === undefined) throw new TypeError('no endpoint')
  const stream = await new CountedSockets().connect(to, AbortSignal.timeout(60_000))
  const { messageBytes, probeTimeout } = ovsdbLimits(configOf(endpoint))
  const session = new OvsdbSession(stream, {
    clock: systemClock,
    messageBytes,
    probeInterval: probeTimeout,
    probeTimeout,
    messageTimeout: probeTimeout,
    onNotification: () => undefined,
  })
  const tables = {
    Datapath_Binding: [{ columns: ['external_ids'], where: [false], select: { initial: false } }],
  }
  const params = [database, 'last', tables, noTransaction]
  const answer = await session.request('monitor_cond_since', params, probeTimeout)
  stream.destroy()
  return String(readTableUpdates(answer, 2).words[1])
}

/** One session that is resumed from the beginning. */
export class LightSession {
  readonly #client: OvsdbClient
  readonly #sockets = new CountedSockets()
  /** Sessions that began with a whole copy. */
  copies = 0

  constructor(endpoint: string, networks: readonly number[], transaction: string) {
    const config = configOf(endpoint)
    this.#client = new OvsdbClient({
      endpoints: config.ovn_sb_connection,
      connect: async (to, signal) =>
        resumedFrom(transaction, await this.#sockets.connect(to, signal)),
      database,
      leaderOnly: false,
      clock: systemClock,
      logger: silentLogger,
      random: Math.random,
      limits: ovsdbLimits(config),
    })
    const { Datapath_Binding: datapaths = [], Port_Binding: ports = [] } = conditionsFor(networks)
    this.#client.addMonitor({
      name: 'ports',
      database,
      tables: {
        Datapath_Binding: { ...southboundTables.Datapath_Binding, where: datapaths },
        Port_Binding: { ...southboundTables.Port_Binding, where: ports },
      },
      consumer: {
        startCopy: () => ({ add: () => undefined, finish: () => (this.copies += 1) }),
        apply: () => undefined,
      },
    })
  }

  start(): void {
    this.#client.start()
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  get bytesReceived(): number {
    return this.#sockets.bytesReceived
  }

  /** As the directory decides it. */
  get isConfirmed(): boolean {
    const { state, confirmedAt = -Infinity } = this.#client
    return state.kind === 'live' && systemClock.now() - confirmedAt <= 4_000
  }
}

/** A client that has seen no transaction yet has seen this one. */
function resumedFrom(transaction: string, socket: Socket): Socket {
  const write = socket.write.bind(socket)
  socket.write = (text: string) => write(text.replace(noTransaction, transaction))
  return socket
}
