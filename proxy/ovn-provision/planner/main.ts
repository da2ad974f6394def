/** The planner process: reads OVN's databases, and has no capability, no file and no socket but those its supervisor hands it. */
import { Socket } from 'node:net'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import { createLogger, type Logger } from '../../../lib/runtime/log.ts'
import { connectOvsdbEndpoint } from '../../../lib/ovsdb/endpoint.ts'
import { receiveDescriptors } from '../../../lib/linux/descriptor-messages.ts'
import { bindLibc, forbidTracing } from '../../../lib/linux/libc.ts'
import { dropRoot } from '../../privileges/drop-root.ts'
import { DescriptorQueue } from '../../linux/descriptor-queue.ts'
import { childDescriptors, openSupervisorChannel } from '../../worker/shared/supervisor-channel.ts'
import { Planner } from './planner.ts'
import {
  type FromPlanner,
  type Opened,
  type PlannerConfig,
  type ServerPlace,
  type ToPlanner,
} from '../shared/protocol.ts'

/** Requests that the supervisor has not answered yet. */
class Requests {
  readonly #waiting = new Map<number, (opened: Opened) => void>()
  readonly #send: (message: FromPlanner) => void
  #lastId = 0

  constructor(send: (message: FromPlanner) => void) {
    this.#send = send
  }

  open(place: ServerPlace): Promise<Opened> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#send({ kind: 'open', id, place })
    })
  }

  settle(id: number, opened: Opened): void {
    this.#waiting.get(id)?.(opened)
    this.#waiting.delete(id)
  }
}

function run(): void {
  let logger: Logger = createLogger({ component: 'planner', level: 'info' })
  const send = (message: FromPlanner): void => channel.send(message)
  const requests = new Requests(send)
  const descriptors = new DescriptorQueue(() => receiveDescriptors(childDescriptors.descriptors))
  let planner: Planner | undefined

  const die = (cause: unknown): void => {
    logger.error({ cause: causeText(cause) }, 'Planner failed')
    process.exit(1)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
  // The supervisor decides when this ends; a terminal sends its signals to the whole group.
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
    const opened = await requests.open(place)
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

  const handle = (message: ToPlanner): void => {
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
          send,
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
  }
  const channel = openSupervisorChannel(
    (message) => handle(message as ToPlanner),
    () => process.exit(0),
  )
  send({ kind: 'ready' })
}

bindLibc()
dropRoot(process.argv.slice(2))
// Workers may run as the same user; they must not read what this process knows, nor act through it.
forbidTracing()
run()
