/** How is the planner started, given what it may have, believed no more than is right, and replaced when it dies? */
import type { ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import type { Cancel, Clock, Milliseconds } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import type { NetworkId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/log.ts'
import {
  readOvsdbTlsFiles,
  type OvsdbEndpoint,
  type OvsdbTlsFiles,
} from '../../lib/ovsdb/endpoint.ts'
import { Backoff } from '../backoff.ts'
import { connectSocket, linux, openSocket, sendDescriptors } from '../netns/libc.ts'
import { unixAddress } from '../netns/unix-address.ts'
import {
  startUnprivileged,
  whyNotTrusted,
  type UnprivilegedProgram,
} from '../opener/unprivileged-program.ts'
import type { NetworkPlan } from './network-plan.ts'
import {
  readFromPlanner,
  type FromPlanner,
  type Opened,
  type PlannerConfig,
  type PlannerReport,
  type ServerPlace,
  type ToPlanner,
} from './protocol.ts'

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
  readonly child: ChildProcess
  readonly channel: number
  isTrusted: boolean
  report: PlannerReport | undefined
}

/** From the start of the program to `ready`. */
const readyLimit: Milliseconds = 20_000
const firstPause: Milliseconds = 100
const longestPause: Milliseconds = 10_000
/** One that lived longer died of something else than its start. */
const grownUp: Milliseconds = 60_000

/** Keeps one planner running. What it said stays in force while it is replaced. */
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
    let running: Running
    try {
      running = { ...startUnprivileged(program), isTrusted: false, report: undefined }
    } catch (cause) {
      logger.error({ cause: causeText(cause) }, 'Cannot start the planner')
      this.#startLater()
      return
    }
    this.#running = running
    const { child } = running
    const startedAt = clock.now()
    const cancelLimit = clock.schedule(readyLimit, () =>
      this.#fail(running, 'was not ready in time'),
    )
    let isOver = false
    const end = (why: string): void => {
      if (isOver) return
      isOver = true
      cancelLimit()
      closeSync(running.channel)
      this.#running = undefined
      if (this.#isClosed) return
      if (clock.now() - startedAt >= grownUp) this.#backoff.reset()
      logger.error({ planner: child.pid, why }, 'Planner died, starting another')
      this.#options.onRestart()
      this.#startLater()
    }
    child.on('error', (cause) => end(causeText(cause)))
    child.on('exit', (code, signal) => end(`ended with ${String(code ?? signal)}`))
    child.on('message', (said) => {
      const message = readFromPlanner(said)
      if (message === undefined) this.#fail(running, 'said what cannot be read')
      else if (message.kind === 'ready') {
        cancelLimit()
        this.#trust(running)
      } else if (running.isTrusted) this.#receive(running, message)
    })
    this.#tell(running, { kind: 'configure', config })
  }

  /** Ends it. What it planned stays as it is. */
  close(): void {
    this.#isClosed = true
    this.#cancelStart?.()
    this.#running?.child.kill('SIGKILL')
  }

  /** `undefined` while none runs or none has said anything. */
  get report(): PlannerReport | undefined {
    return this.#running?.report
  }

  get pid(): number | undefined {
    return this.#running?.child.pid
  }

  tellCables(networkIds: readonly NetworkId[], present: boolean): void {
    if (this.#running?.isTrusted === true) {
      this.#tell(this.#running, { kind: 'cables', networkIds, present })
    }
  }

  #startLater(): void {
    this.#cancelStart = this.#options.clock.schedule(this.#backoff.next(), () => this.start())
  }

  /** One that kept a privilege gets nothing. */
  #trust(running: Running): void {
    const { program, cables } = this.#options
    const why = whyNotTrusted(running.child.pid ?? 0, program.account)
    if (why !== undefined) {
      this.#fail(running, why)
      return
    }
    running.isTrusted = true
    const networkIds = cables()
    if (networkIds.length > 0) {
      this.#tell(running, { kind: 'cables', networkIds, present: true })
    }
  }

  #receive(running: Running, message: FromPlanner): void {
    const { onComplete, onChange } = this.#options
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
          this.#tell(running, { kind: 'opened', id: message.id, opened }),
        )
        return
      case 'ready':
        return
      default:
        message satisfies never
    }
  }

  /** The trouble is told when it is another. */
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
        const fd = connectUnix(endpoint)
        try {
          sendDescriptors(running.channel, [fd])
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

  #tell({ child }: Running, message: ToPlanner): void {
    // A planner that ended is noticed by its exit.
    if (child.connected) child.send(message, () => undefined)
  }

  #fail({ child }: Running, why: string): void {
    this.#options.logger.error({ planner: child.pid, why }, 'Planner is not used')
    child.kill('SIGKILL')
  }
}

/** @throws {SystemCallError} ENOENT, ECONNREFUSED, EACCES, or EAGAIN when too many wait there already */
function connectUnix({ path }: OvsdbEndpoint & { readonly kind: 'unix' }): number {
  const fd = openSocket(linux.AF_UNIX, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
  try {
    connectSocket(fd, unixAddress(path))
    return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}
