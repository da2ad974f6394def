/** How is the planner started, given what it may have, trusted no more than is right, and replaced when it dies? */
import { closeSync } from 'node:fs'
import type {
  Bytes,
  Cancel,
  Clock,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { NetworkId } from '../../lib/identity/ids.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { readOvsdbTlsFiles, type OvsdbTlsFiles } from '../../lib/ovsdb/endpoint.ts'
import { Backoff } from '../../lib/runtime/backoff.ts'
import { linux } from '../../lib/linux/libc.ts'
import { connectUnix } from '../linux/unix-socket.ts'
import { SupervisedChild } from '../supervisor/supervised-child.ts'
import type { UnprivilegedProgram } from '../privileges/start-unprivileged.ts'
import type { NetworkPlan } from './shared/network-plan.ts'
import {
  readFromPlanner,
  type FromPlanner,
  type Opened,
  type PlannerConfig,
  type PlannerReport,
  type ServerPlace,
  type ToPlanner,
} from './shared/protocol.ts'

export interface PlannerProcessOptions {
  readonly program: UnprivilegedProgram
  readonly config: PlannerConfig
  readonly tls: OvsdbTlsFiles
  readonly clock: Clock
  readonly logger: Logger
  readonly onComplete: (networks: readonly NetworkPlan[]) => void
  readonly onChange: (put: readonly NetworkPlan[], gone: readonly NetworkId[]) => void
  /** Cables that are there, for a planner that begins. */
  readonly cables: () => readonly NetworkId[]
  readonly onRestart: () => void
}

interface Running {
  readonly child: SupervisedChild<FromPlanner>
  isTrusted: boolean
  report: PlannerReport | undefined
}

/** Every network of a large host in one message. */
const longestLine: Bytes = 8 * 2 ** 20
const firstPause: Milliseconds = 100
const longestPause: Milliseconds = 10_000
/** A child that ran this long did not fail at start: its back-off is reset. */
const grownUp: Milliseconds = 60_000

/** Keeps one planner running. What it reported stays in force while it is replaced. */
export class PlannerProcess {
  readonly #options: PlannerProcessOptions
  readonly #backoff = new Backoff(firstPause, longestPause)
  #running: Running | undefined
  #cancelStart: Cancel | undefined
  #isClosed = false

  constructor(options: PlannerProcessOptions) {
    this.#options = options
  }

  start(): void {
    const { program, config, clock, logger } = this.#options
    this.#cancelStart = undefined
    const startedAt = clock.now()
    try {
      const child = new SupervisedChild<FromPlanner>({
        program,
        clock,
        longestLine,
        read: readFromPlanner,
        onMessage: (message) => this.#receive(running, message),
        onBreach: (breach) => logger.error({ planner: child.pid, breach }, 'Killing the planner'),
        onUnusable: (why) => logger.error({ planner: child.pid, why }, 'Planner is not used'),
        onGone: (why) => this.#replace(running, startedAt, why),
      })
      const running: Running = { child, isTrusted: false, report: undefined }
      this.#running = running
      this.#send(running, { kind: 'configure', config })
    } catch (cause) {
      logger.error({ cause: causeText(cause) }, 'Cannot start the planner')
      this.#startLater()
    }
  }

  #replace({ child }: Running, startedAt: MonotonicMilliseconds, why: string): void {
    const { clock, logger, onRestart } = this.#options
    this.#running = undefined
    if (this.#isClosed) return
    if (clock.now() - startedAt >= grownUp) this.#backoff.reset()
    logger.error({ planner: child.pid, why }, 'Planner died, starting another')
    onRestart()
    this.#startLater()
  }

  /** Ends it. What it planned stays as it is. */
  close(): void {
    this.#isClosed = true
    this.#cancelStart?.()
    this.#running?.child.kill()
  }

  /** `undefined` while none runs or none has reported anything. */
  get report(): PlannerReport | undefined {
    return this.#running?.report
  }

  get pid(): number | undefined {
    return this.#running?.child.pid
  }

  reportCables(networkIds: readonly NetworkId[], present: boolean): void {
    if (this.#running?.isTrusted === true) {
      this.#send(this.#running, { kind: 'cables', networkIds, present })
    }
  }

  #startLater(): void {
    this.#cancelStart = this.#options.clock.schedule(this.#backoff.next(), () => this.start())
  }

  /** One that kept a privilege gets nothing. */
  #trust(running: Running): void {
    if (!running.child.isTrustworthy()) return
    running.isTrusted = true
    const networkIds = this.#options.cables()
    if (networkIds.length > 0) {
      this.#send(running, { kind: 'cables', networkIds, present: true })
    }
  }

  #receive(running: Running, message: FromPlanner): void {
    const { onComplete, onChange } = this.#options
    if (message.kind === 'ready') {
      this.#trust(running)
      return
    }
    if (!running.isTrusted) return
    switch (message.kind) {
      case 'complete':
        onComplete(message.networks)
        return
      case 'change':
        onChange(message.put, message.gone)
        return
      case 'report':
        this.#note(running, message.report)
        return
      case 'open':
        void this.#open(running, message.place).then((opened) =>
          this.#send(running, { kind: 'opened', id: message.id, opened }),
        )
        return
      default:
        message satisfies never
    }
  }

  /** The trouble is logged when it is another. */
  #note(running: Running, report: PlannerReport): void {
    const before = running.report?.trouble
    running.report = report
    if (report.trouble === before) return
    const { logger } = this.#options
    if (report.trouble === undefined) logger.info({}, 'OVN provisioning can go on')
    else logger.warn({ why: report.trouble }, 'OVN provisioning is hindered')
  }

  /** Nothing is read from the socket here; the planner gets it, and no path to open others with. */
  async #open(running: Running, place: ServerPlace): Promise<Opened> {
    const { config, tls } = this.#options
    const endpoint = place === 'local' ? config.local : config.southbound[place]
    try {
      if (endpoint?.kind === 'unix') {
        const fd = connectUnix(endpoint.path, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
        try {
          running.child.sendDescriptors([fd])
        } finally {
          closeSync(fd)
        }
        return { kind: 'descriptor' }
      }
      if (endpoint?.kind === 'ssl') return { kind: 'tls', tls: await readOvsdbTlsFiles(tls) }
      return { kind: 'failed', why: 'there is nothing to open' }
    } catch (cause) {
      return { kind: 'failed', why: causeText(cause) }
    }
  }

  #send({ child }: Running, message: ToPlanner): void {
    child.send(message)
  }
}
