/** The agent of one host, as far as the southbound database notices it: its real directory, and the bytes that it receives. */
import { OvnDirectory } from '../../../agent-side/ports/ovn/directory.ts'
import { ovnTable } from '../../../agent-side/ports/ovn/config.ts'
import { parseNetworkId, type NetworkId } from '../../../lib/identity/ids.ts'
import { parseIpAddress } from '../../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../../lib/identity/mac-address.ts'
import type { ScopeText } from '../../../lib/identity/scope.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { createRegistry } from '../../../lib/observe/metrics.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { addressOf, macOf, networkIdOf } from './cloud-rows.ts'
import { CountedSockets } from './counted-sockets.ts'

/** How often to look whether something has arrived. */
const glance = 5

/** Resolves as soon as something holds. @throws Error after the limit */
export async function when(holds: () => boolean, limitSeconds: number): Promise<void> {
  const end = performance.now() + limitSeconds * 1_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not ready within ${limitSeconds} s`)
    await new Promise((resolve) => setTimeout(resolve, glance))
  }
}

function idOf(network: number): NetworkId {
  const id = parseNetworkId(networkIdOf(network))
  if (id === undefined) throw new TypeError('an id that is none')
  return id
}

/** One host with some networks. */
export class HostSession {
  readonly #networks: readonly number[]
  readonly #directory: OvnDirectory
  readonly #sockets = new CountedSockets()

  constructor(copy: 'served' | 'all', endpoint: string, networks: readonly number[]) {
    this.#networks = networks
    const options = { copy, ovn_sb_connection: [endpoint], ovsdb_connection_timeout: '30m' }
    const set = Object.entries(options).map(
      ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    const environmentPrefix = 'OVERLAPD_BENCH'
    const { config } = loadConfig(ovnTable, { environment: {}, environmentPrefix, set })
    this.#directory = new OvnDirectory(config, {
      clock: systemClock,
      logger: silentLogger,
      registry: createRegistry(),
      connect: (to, signal) => this.#sockets.connect(to, signal),
    })
  }

  async start(): Promise<void> {
    this.#directory.serve(new Set(this.#networks.map((one): ScopeText => `network/${idOf(one)}`)))
    await this.#directory.start()
  }

  /** A network more, as when a namespace is made. */
  serveAlso(network: number): void {
    const scopes = [...this.#networks, network].map((one): ScopeText => `network/${idOf(one)}`)
    this.#directory.serve(new Set(scopes))
  }

  async close(): Promise<void> {
    await this.#directory.close()
  }

  get bytesReceived(): number {
    return this.#sockets.bytesReceived
  }

  /** Whether guests of every network are found at this moment. */
  get isReady(): boolean {
    return this.#directory.isConfirmed() && this.#networks.every((one) => this.finds(one))
  }

  get isConfirmed(): boolean {
    return this.#directory.isConfirmed()
  }

  /** Whether the first guest of the network is found without waiting. */
  finds(network: number): boolean {
    const fixedIp = parseIpAddress(addressOf(0))
    const macAddress = parseMacAddress(macOf(network, 0))
    if (fixedIp === undefined || macAddress === undefined) return false
    const signal = AbortSignal.abort()
    try {
      const answer = this.#directory.findPorts(
        { networkIds: [idOf(network)], fixedIp, macAddress },
        { signal, freshness: 'cached' },
      )
      if (!(answer instanceof Promise)) return answer.ports.length === 1
      answer.catch(() => undefined)
      return false
    } catch {
      return false
    }
  }
}
