import { Counter, Gauge, metricNamespace, type Registry } from '../../../lib/observe/metrics.ts'
import { DirectoryMetrics } from '../directory/metrics.ts'

const prefix = `${metricNamespace}_directory`

/** The metrics of the `neutron-rpc` directory. The kind of a query is its RPC method. */
export class NeutronRpcMetrics extends DirectoryMetrics<string> {
  readonly #droppedMessages: Counter<'directory' | 'reason'>
  readonly #lostPushes: Counter<'directory'>
  readonly #connected: Gauge<'directory'>
  readonly #pushesTrusted: Gauge<'directory'>

  constructor(registry: Registry) {
    super('neutron-rpc', registry)
    const registers = [registry]
    this.#droppedMessages = new Counter({
      name: `${prefix}_dropped_messages_total`,
      help: 'Replies that came after their query had ended, or that could not be read.',
      labelNames: ['directory', 'reason'],
      registers,
    })
    this.#lostPushes = new Counter({
      name: `${prefix}_lost_pushes_total`,
      help: 'Changes of ports that were found by a query and never pushed.',
      labelNames: ['directory'],
      registers,
    })
    this.#connected = new Gauge({
      name: `${prefix}_broker_connected`,
      help: '1 while there is a connection to a broker.',
      labelNames: ['directory'],
      registers,
    })
    this.#pushesTrusted = new Gauge({
      name: `${prefix}_pushes_trusted`,
      help: '1 while pushed changes keep the copy right; otherwise answers are queried.',
      labelNames: ['directory'],
      registers,
    })
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
