import type { Counter, Gauge, Registry } from '../../../lib/observe/metrics.ts'
import { DirectoryMetrics } from '../directory/metrics.ts'

/** The metrics of the `neutron-rpc` directory. The kind of a query is its RPC method. */
export class NeutronRpcMetrics extends DirectoryMetrics<string> {
  readonly #droppedMessages: Counter<'directory' | 'reason'>
  readonly #lostPushes: Counter<'directory'>
  readonly #connected: Gauge<'directory'>
  readonly #pushesTrusted: Gauge<'directory'>

  constructor(registry: Registry) {
    super('neutron-rpc', registry)
    const { area } = this
    this.#droppedMessages = area.counter(
      'dropped_messages_total',
      'Replies that came after their query had ended, or that could not be read.',
      ['directory', 'reason'],
    )
    this.#lostPushes = area.counter(
      'lost_pushes_total',
      'Changes of ports that were found by a query and never pushed.',
      ['directory'],
    )
    this.#connected = area.gauge('broker_connected', '1 while there is a connection to a broker.', [
      'directory',
    ])
    this.#pushesTrusted = area.gauge(
      'pushes_trusted',
      '1 while pushed changes keep the copy right; otherwise answers are queried.',
      ['directory'],
    )
    this.#lostPushes.inc({ directory: this.directory }, 0)
    this.connected(false)
    this.pushesTrusted(false)
  }

  droppedMessage(reason: 'late_reply' | 'unreadable_reply'): void {
    this.#droppedMessages.inc({ directory: this.directory, reason })
  }

  lostPush(): void {
    this.#lostPushes.inc({ directory: this.directory })
  }

  connected(isConnected: boolean): void {
    this.#connected.set({ directory: this.directory }, isConnected ? 1 : 0)
  }

  pushesTrusted(areTrusted: boolean): void {
    this.#pushesTrusted.set({ directory: this.directory }, areTrusted ? 1 : 0)
  }
}
