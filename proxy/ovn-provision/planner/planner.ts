/** Which namespaces and cables does this host need, by the two databases as they are? The logic of the planner process. */
import type { Socket } from 'node:net'
import type { Cancel, Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type { OvsdbState } from '../../../lib/ovsdb/client.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import { LocalSwitch } from './local-switch.ts'
import { linksOfNetwork } from '../shared/network-plan.ts'
import { planNetworks, type PlannedNetwork } from './plan-networks.ts'
import { planPlugs, type PlugChange } from './plan-plugs.ts'
import type { FromPlanner, PlannerConfig, PlannerReport, ServerPlace } from '../shared/protocol.ts'
import { Southbound } from './southbound.ts'

export interface PlannerOptions {
  readonly config: PlannerConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly connect: (place: ServerPlace, signal: AbortSignal) => Promise<Socket>
  readonly send: (message: FromPlanner) => void
}

/** Changes come in bursts; one plan serves all of a burst. */
const settle: Milliseconds = 10
/** A port that is bound again within this time was never gone: a restart of ovn-controller, the end of a live migration. */
const linger: Milliseconds = 1_000
const firstPause: Milliseconds = 500
const longestPause: Milliseconds = 30_000

/**
 * Reports to the supervisor what is needed, and plugs what the supervisor has made. Nothing is given up before both databases were seen whole, or
 * while they cannot be reached, or while this host has no row in OVN.
 */
export class Planner {
  readonly #options: PlannerOptions
  readonly #southbound: Southbound
  readonly #local: LocalSwitch
  /** What the supervisor has, as text to compare with. */
  #sentPlans: Map<NetworkId, string> | undefined
  #planned = new Map<NetworkId, PlannedNetwork>()
  /** Networks that are to be given up, and when they are. */
  readonly #leaving = new Map<NetworkId, Cancel>()
  readonly #cables = new Set<NetworkId>()
  /** Cables that the supervisor took away and that may still be plugged. */
  readonly #pulled = new Map<NetworkId, string>()
  readonly #plugPause = new Backoff(firstPause, longestPause)
  #cancelPlan: Cancel | undefined
  #cancelPlug: Cancel | undefined
  #isPlugging = false
  #plugTrouble: string | undefined
  #reported = ''

  constructor(options: PlannerOptions) {
    this.#options = options
    const { config, clock, logger, random, connect } = options
    const common = { limits: config.limits, clock, logger, random }
    const changed = (): void => this.#planSoon()
    this.#southbound = new Southbound(
      {
        ...common,
        endpoints: config.southbound,
        leaderOnly: config.leaderOnly,
        connect: (endpoint, signal) => connect(config.southbound.indexOf(endpoint), signal),
      },
      changed,
    )
    this.#local = new LocalSwitch(
      {
        ...common,
        endpoints: [config.local],
        fallbackBridge: config.bridge,
        connect: (_endpoint, signal) => connect('local', signal),
      },
      changed,
    )
  }

  start(): void {
    this.#local.start()
    this.#report()
  }

  async close(): Promise<void> {
    this.#cancelPlan?.()
    this.#cancelPlug?.()
    for (const cancel of this.#leaving.values()) cancel()
    await Promise.all([this.#southbound.close(), this.#local.close()])
  }

  /** The supervisor has made these cables, or taken them away. */
  noteCables(networkIds: readonly NetworkId[], present: boolean): void {
    for (const networkId of networkIds) {
      if (present) {
        this.#cables.add(networkId)
        this.#pulled.delete(networkId)
      } else {
        this.#cables.delete(networkId)
        this.#pulled.set(networkId, linksOfNetwork(networkId).outside)
      }
    }
    this.#planSoon()
  }

  #planSoon(): void {
    this.#cancelPlan ??= this.#options.clock.schedule(settle, () => {
      this.#cancelPlan = undefined
      this.#plan()
    })
  }

  #plan(): void {
    const identity = this.#local.identity
    const chassis = this.#options.config.chassis ?? identity?.chassis
    if (chassis !== undefined) this.#southbound.follow(chassis)
    const rows = this.#southbound.rows
    if (rows !== undefined && identity !== undefined) {
      const planned = planNetworks(rows, identity.isUserspace)
      this.#planned = new Map(planned.map((one) => [one.plan.networkId, one]))
      this.#sendPlans()
    }
    void this.#plug()
    this.#report()
  }

  #sendPlans(): void {
    const { send, clock } = this.#options
    const plans = [...this.#planned.values()].map(({ plan }) => plan)
    if (this.#sentPlans === undefined) {
      this.#sentPlans = new Map(plans.map((plan) => [plan.networkId, JSON.stringify(plan)]))
      send({ kind: 'complete', networks: plans })
      return
    }
    const sent = this.#sentPlans
    const put = plans.filter((plan) => sent.get(plan.networkId) !== JSON.stringify(plan))
    for (const plan of put) sent.set(plan.networkId, JSON.stringify(plan))
    if (put.length > 0) send({ kind: 'change', put, gone: [] })
    for (const networkId of sent.keys()) {
      if (this.#planned.has(networkId)) {
        this.#leaving.get(networkId)?.()
        this.#leaving.delete(networkId)
      } else if (!this.#leaving.has(networkId)) {
        this.#leaving.set(
          networkId,
          clock.schedule(linger, () => this.#giveUp(networkId)),
        )
      }
    }
  }

  #giveUp(networkId: NetworkId): void {
    this.#leaving.delete(networkId)
    this.#sentPlans?.delete(networkId)
    this.#options.send({ kind: 'change', put: [], gone: [networkId] })
  }

  /** Plugs and pulls what is to be, in one transaction where that works. */
  async #plug(): Promise<void> {
    if (this.#isPlugging || this.#cancelPlug || this.#local.state.kind !== 'live') return
    const changes = this.#plugChanges()
    if (changes.length === 0) {
      this.#plugTrouble = undefined
      return
    }
    this.#isPlugging = true
    try {
      await this.#transact(changes)
      this.#plugPause.reset()
      this.#plugTrouble = undefined
    } catch (cause) {
      const why = causeText(cause)
      if (why !== this.#plugTrouble) {
        this.#options.logger.warn({ cause: why }, 'Cannot plug metadata ports into Open vSwitch')
      }
      this.#plugTrouble = why
      this.#cancelPlug = this.#options.clock.schedule(this.#plugPause.next(), () => {
        this.#cancelPlug = undefined
        this.#planSoon()
      })
    }
    this.#isPlugging = false
    this.#planSoon()
  }

  #plugChanges(): PlugChange[] {
    const { identity } = this.#local
    if (this.#sentPlans === undefined || identity === undefined) return []
    const wanted = [...this.#cables].flatMap((networkId) => {
      const logicalPort = this.#planned.get(networkId)?.logicalPort
      const { outside: link } = linksOfNetwork(networkId)
      return logicalPort === undefined ? [] : [{ networkId, link, logicalPort }]
    })
    const { rows } = this.#local
    const isStaying = (networkId: string): boolean =>
      this.#planned.has(networkId as NetworkId) || this.#leaving.has(networkId as NetworkId)
    const changes = planPlugs(rows, identity.bridge, wanted, { pulled: this.#pulled, isStaying })
    const names = new Set([...rows.ports.values()].map(({ name }) => name))
    for (const [networkId, link] of this.#pulled) {
      if (!names.has(link)) this.#pulled.delete(networkId)
    }
    return changes
  }

  async #transact(changes: readonly PlugChange[]): Promise<void> {
    try {
      await this.#local.transact(changes.flatMap(({ operations }) => operations))
    } catch (cause) {
      if (changes.length === 1) throw cause
      const failures: unknown[] = []
      for (const { operations } of changes) {
        try {
          await this.#local.transact(operations)
        } catch (one) {
          failures.push(one)
        }
      }
      if (failures.length > 0) throw failures[0]
    }
  }

  #report(): void {
    const { send } = this.#options
    const identity = this.#local.identity
    const chassis = this.#options.config.chassis ?? identity?.chassis
    const trouble = this.#trouble()
    const report: PlannerReport = {
      southbound: stateText(this.#southbound.state),
      isSouthboundLive: this.#southbound.state.kind === 'live',
      local: stateText(this.#local.state),
      isLocalLive: this.#local.state.kind === 'live',
      ...(chassis !== undefined && { chassis }),
      ...(identity !== undefined && { bridge: identity.bridge }),
      ...(trouble !== undefined && { trouble }),
    }
    const text = JSON.stringify(report)
    if (text === this.#reported) return
    this.#reported = text
    send({ kind: 'report', report })
  }

  #trouble(): string | undefined {
    const identity = this.#local.identity
    if (identity === undefined) return undefined
    const chassis = this.#options.config.chassis ?? identity.chassis
    if (chassis === undefined) {
      return 'Open vSwitch has no external_ids:system-id, so this host has no place in OVN'
    }
    if (!identity.hasBridge) return `Open vSwitch has no bridge "${identity.bridge}"`
    if (this.#southbound.state.kind === 'live' && !this.#southbound.isRegistered) {
      return `OVN has no chassis "${chassis}": is ovn-controller running? Nothing is changed meanwhile`
    }
    return this.#plugTrouble
  }
}

function stateText(state: OvsdbState): string {
  if (state.kind === 'live') return `connected to ${state.endpoint}`
  return state.kind === 'closed' ? 'closed' : `not connected: ${state.lastProblem}`
}
