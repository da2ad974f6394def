/** The planner process: reads OVN's databases, and has no capability, no file and no socket but those its opener hands it. */
import { Socket } from 'node:net'
import { systemClock } from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import { createLogger, type Logger } from '../../lib/log.ts'
import { connectOvsdbEndpoint } from '../../lib/ovsdb/endpoint.ts'
import { bindLibc, forbidTracing, receiveDescriptors } from '../netns/libc.ts'
import { becomeAccount } from '../worker/become.ts'
import { DescriptorQueue } from '../worker/descriptor-queue.ts'
import { Planner } from './planner.ts'
import {
  plannerDescriptorChannel,
  type FromPlanner,
  type Opened,
  type PlannerConfig,
  type ServerPlace,
  type ToPlanner,
} from './protocol.ts'

/** What the opener was asked for and has not answered yet. */
class Requests {
  readonly #waiting = new Map<number, (opened: Opened) => void>()
  #lastId = 0

  ask(place: ServerPlace): Promise<Opened> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      tell({ kind: 'open', id, place })
    })
  }

  settle(id: number, opened: Opened): void {
    this.#waiting.get(id)?.(opened)
    this.#waiting.delete(id)
  }
}

function run(): void {
  let logger: Logger = createLogger({ component: 'planner', level: 'info' })
  const requests = new Requests()
  const descriptors = new DescriptorQueue(() => receiveDescriptors(plannerDescriptorChannel))
  let planner: Planner | undefined

  const die = (cause: unknown): void => {
    logger.error({ cause: causeText(cause) }, 'Planner failed')
    process.exit(1)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  // The opener decides when this ends; a terminal sends its signals to the whole group.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => undefined)

  const connect = async (
    config: PlannerConfig,
    place: ServerPlace,
    signal: AbortSignal,
  ): Promise<Socket> => {
    const endpoint = place === 'local' ? config.local : config.southbound[place]
    if (endpoint === undefined) throw new RangeError(`There is no server ${place}`)
    if (endpoint.kind === 'tcp') return connectOvsdbEndpoint(endpoint, undefined, signal)
    const opened = await requests.ask(place)
    if (opened.kind === 'failed') throw new Error(opened.why)
    if (opened.kind === 'tls') {
      return connectOvsdbEndpoint(endpoint, async () => opened.tls, signal)
    }
    const fd = descriptors.next()
    if (fd === undefined) throw new Error('The descriptor of a connection did not arrive')
    const socket = new Socket({ fd, readable: true, writable: true })
    if (signal.aborted) socket.destroy()
    return socket
  }

  process.on('message', (message: ToPlanner) => {
    switch (message.kind) {
      case 'configure': {
        const { config } = message
        logger = createLogger({ component: 'planner', level: config.logLevel })
        planner = new Planner({
          config,
          clock: systemClock,
          logger,
          random: Math.random,
          connect: (place, signal) => connect(config, place, signal),
          tell,
        })
        planner.start()
        return
      }
      case 'opened':
        requests.settle(message.id, message.opened)
        return
      case 'cables':
        planner?.noteCables(message.networkIds, message.present)
        return
      default:
        message satisfies never
    }
  })
  process.on('disconnect', () => process.exit(0))
  tell({ kind: 'ready' })
  // Its end may have come before anybody listened for it.
  if (!process.connected) process.exit(0)
}

function tell(message: FromPlanner): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

bindLibc()
becomeAccount(process.argv.slice(2))
// Workers may run as the same user; they must not read what this process knows, nor act through it.
forbidTracing()
run()
