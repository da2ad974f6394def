import { randomUUID } from 'node:crypto'
import type { Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'
import { causeText } from '../../../../lib/runtime/errors.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import type { JsonObject } from '../../directory/neutron-port.ts'
import type { RpcRequest } from './oslo-envelope.ts'
import { remoteClass } from './rpc-client.ts'

const topic = 'q-reports-plugin'

/** What the reporter needs of the RPC client. */
export interface ReportSender {
  call(topic: string, request: RpcRequest, timeout: Milliseconds): Promise<unknown>
  cast(topic: string, request: RpcRequest, expiration: Milliseconds): Promise<void>
}

/** What is reported, how often and by whom. */
export interface StateReportOptions {
  /** The name under which the agent is listed: `host` of neutron.conf on this machine. */
  readonly host: string
  readonly interval: Milliseconds
  /** Shown by `openstack network agent show`. */
  readonly configurations: JsonObject
  readonly sender: ReportSender
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Reports to Neutron that a metadata agent lives on this host, as Neutron's own does: first a call that reports that the agent has
 * started, then a message each interval.
 *
 * It names no versions of resources. A server pushes in its own version anyway, and one that it does not know yet, as in
 * the middle of an upgrade, would make its pushes fail for every agent.
 * @see neutron/agent/metadata/agent.py _report_state, neutron/agent/rpc.py PluginReportStateAPI
 */
export class StateReport {
  readonly #options: StateReportOptions
  readonly #closing = new AbortController()
  #running: Promise<void> | undefined
  #isStart = true
  #hasFailed = false
  #wake = new AbortController()

  constructor(options: StateReportOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Reports now rather than at the next interval: there is a broker again. */
  hurry(): void {
    this.#wake.abort()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, interval, logger } = this.#options
    while (!this.#closing.signal.aborted) {
      this.#wake = new AbortController()
      try {
        await this.#report()
        if (this.#hasFailed) logger.info({}, 'State is reported again')
        this.#hasFailed = false
      } catch (thrown) {
        if (remoteClass(thrown) === 'NoSuchMethod') {
          logger.warn({}, 'Neutron takes no state reports')
          return
        }
        if (!this.#hasFailed) logger.warn({ cause: causeText(thrown) }, 'State cannot be reported')
        this.#hasFailed = true
      }
      const signal = AbortSignal.any([this.#closing.signal, this.#wake.signal])
      await clock.sleep(interval, signal).catch(() => undefined)
    }
  }

  async #report(): Promise<void> {
    const { sender, interval } = this.#options
    const request = { method: 'report_state', args: this.#args(), version: '1.2' }
    if (this.#isStart) {
      await sender.call(topic, request, interval)
      this.#isStart = false
    } else {
      // A server that was away must not read a pile of old ones.
      await sender.cast(topic, request, interval)
    }
  }

  #args(): JsonObject {
    const { host, configurations, clock } = this.#options
    const state = {
      binary: 'neutron-metadata-agent',
      host,
      topic: 'N/A',
      agent_type: 'Metadata agent',
      configurations,
      uuid: randomUUID(),
      ...(this.#isStart && { start_flag: true }),
    }
    // Python reads microseconds and no zone: it is UTC by agreement.
    const time = new Date(clock.wallTime()).toISOString().replace('Z', '000')
    return { agent_state: { agent_state: state }, time }
  }
}
