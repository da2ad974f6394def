import type { Cancel, Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import type { OvsdbLimits } from '../../../lib/ovsdb/client-options.ts'
import type { OvsdbEndpoint } from '../../../lib/ovsdb/endpoint.ts'
import { writeStringMap, writeStringSet } from '../../../lib/ovsdb/notation.ts'
import { RowCopy } from '../../../lib/ovsdb/row-copy.ts'
import { chassisAgentId } from './chassis-agent-id.ts'
import { LocalChassis, type ChassisIdentity } from './local-chassis.ts'
import type { OvnMetrics } from './metrics.ts'

export interface AgentHeartbeatOptions {
  /** Name of the chassis to report for; absent: taken from the local Open vSwitch. */
  readonly chassis: string | undefined
  readonly localEndpoint: OvsdbEndpoint
  readonly limits: OvsdbLimits
  /** Neutron's `agent_down_time`. */
  readonly agentDownTime: Milliseconds
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly metrics: OvnMetrics
}

/** The keys that neutron-server reads. @see neutron/common/ovn/constants.py */
const keys = {
  id: 'neutron:ovn-metadata-id',
  sbCfg: 'neutron:ovn-metadata-sb-cfg',
  bridge: 'neutron:ovn-bridge',
} as const

const reportColumns = {
  SB_Global: { nb_cfg: 'number' },
  Chassis_Private: { name: 'text' },
} as const

const leastSpread = 3_000
const mostSpread = 10_000

/**
 * Makes `openstack network agent list` show an "OVN Metadata agent" that is alive. Neutron counts up `nb_cfg` to probe all
 * agents for a sign of life; each answers by copying the number into its row of Chassis_Private. Neutron also
 * wants ovn-controller of the chassis to be alive.
 */
export class AgentHeartbeat {
  readonly #options: AgentHeartbeatOptions
  readonly #client: OvsdbClient
  readonly #local: LocalChassis | undefined
  readonly #endSubscription: () => void
  readonly #copy = new RowCopy(reportColumns, () => this.#consider())
  /** What was written last, and into which row. */
  #reported: string | undefined
  #cancel: Cancel | undefined
  #isWriting = false
  #isClosed = false

  constructor(client: OvsdbClient, options: AgentHeartbeatOptions) {
    this.#options = options
    this.#client = client
    const { chassis, localEndpoint, limits, clock, logger, random } = options
    if (chassis === undefined) {
      const endpoints = [localEndpoint]
      const reading = { endpoints, limits, clock, logger, random }
      this.#local = new LocalChassis(reading, () => this.#consider())
    }
    client.addMonitor({
      name: 'agent',
      database: 'OVN_Southbound',
      tables: { SB_Global: { columns: ['nb_cfg'] }, Chassis_Private: { columns: ['name'] } },
      consumer: this.#copy,
      optional: true,
    })
    this.#endSubscription = client.onState(() => this.#consider())
  }

  start(): void {
    this.#local?.start()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel?.()
    this.#endSubscription()
    await this.#local?.close()
  }

  get #nbCfg(): number | undefined {
    const [row] = this.#copy.rows('SB_Global').values()
    return row?.nb_cfg
  }

  get #identity(): ChassisIdentity & { readonly rowUuid: string | undefined } {
    const identity = this.#local?.identity ?? { chassis: this.#options.chassis, bridge: '' }
    // A chassis that is made again is another row.
    const rows = [...this.#copy.rows('Chassis_Private')]
    const row = rows.find(([, { name }]) => name === identity.chassis)
    return { ...identity, rowUuid: row?.[0] }
  }

  /** What the row ought to hold, or `undefined` while that cannot be known. */
  get #due(): string | undefined {
    const { chassis, bridge, rowUuid } = this.#identity
    if (chassis === undefined || rowUuid === undefined || this.#nbCfg === undefined)
      return undefined
    return [rowUuid, chassis, bridge, this.#nbCfg].join(' ')
  }

  /** Writes at once into a row that does not name us yet, and some time later when only the number changed. */
  #consider(): void {
    const due = this.#due
    const isIdle = this.#cancel === undefined && !this.#isWriting && !this.#isClosed
    if (due === undefined || due === this.#reported || !isIdle) return
    if (this.#client.state.kind !== 'live') return
    const { agentDownTime, clock, random } = this.#options
    const isKnown = this.#reported?.split(' ', 1)[0] === due.split(' ', 1)[0]
    const spread = Math.max(Math.min(agentDownTime / 3, mostSpread), leastSpread)
    this.#cancel = clock.schedule(isKnown ? random() * spread : 0, () => {
      this.#cancel = undefined
      void this.#report()
    })
  }

  async #report(): Promise<void> {
    const { logger, metrics } = this.#options
    const due = this.#due
    const { chassis, bridge } = this.#identity
    if (due === undefined || chassis === undefined || this.#isClosed) return
    const ids = {
      [keys.id]: chassisAgentId(chassis),
      [keys.sbCfg]: String(this.#nbCfg),
      ...(bridge !== '' && { [keys.bridge]: bridge }),
    }
    this.#isWriting = true
    try {
      // An "insert" into a map leaves keys alone that are there, so the old values go first.
      const mutations = [
        ['external_ids', 'delete', writeStringSet(Object.keys(ids))],
        ['external_ids', 'insert', writeStringMap(ids)],
      ]
      const where = [['name', '==', chassis]]
      await this.#client.transact([{ op: 'mutate', table: 'Chassis_Private', where, mutations }])
      this.#reported = due
      metrics.reported('written')
    } catch (thrown) {
      // The next number, row or session tries again.
      metrics.reported('failed')
      logger.warn({ chassis, cause: causeText(thrown) }, 'Cannot report the metadata agent to OVN')
      return
    } finally {
      this.#isWriting = false
    }
    this.#consider()
  }
}
