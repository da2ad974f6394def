/** What do guests request right now, and what do they get? */
import { jsonLine } from '../cli/json-output.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../cli/command.ts'
import { doctorHint } from '../cli/failure.ts'
import type { Daemon } from '../config/defaults.ts'
import { isMapping } from '../runtime/mapping.ts'
import { AdminUnreachableError } from '../http/admin-client.ts'
import { readEvents, type StreamEvent } from '../http/event-reader.ts'
import { terminalText } from '../observe/text-table.ts'
import { Backoff } from '../runtime/backoff.ts'
import { systemClock, type Clock, type Count, type Milliseconds } from '../runtime/clock.ts'
import { stopSignal } from '../runtime/lifecycle.ts'
import { textOf } from './answer-fields.ts'
import { filterNames, readEventFilter } from './request-event.ts'
import { WatchedRequests } from './watched-requests.ts'

/** A daemon that restarts is away for a second or two. */
const firstPause: Milliseconds = 500
const longestPause: Milliseconds = 5_000

/** `watch`: a line for each request as it ends. */
export function watchCommand(clock: Clock = systemClock): CommandSpec {
  return {
    name: 'watch',
    summary: 'print requests of guests and refusals as they happen',
    description: `Prints a line for each request of a guest once it is over: when, what the guest got, from where it came, whose metadata
that was. The agent knows the instance; the proxy adds what its workers refused by themselves and what went straight
to compute. With several filters a request must fit all of them. A daemon that restarts is watched again. Slows no guest
down: a terminal that does not keep up loses lines, and the output has their number.`,
    options: [
      { flags: '--network <id>', help: 'of instances on this network' },
      { flags: '--router <id>', help: 'that came in through the namespace of this router' },
      { flags: '--instance <id>', help: 'of this instance' },
      { flags: '--reason <code>', help: 'that were refused for this reason' },
      {
        flags: '--refused',
        help: 'that got no metadata; a path that compute answers with 404 is none of them',
      },
      { flags: '--count <n>', help: 'end after so many' },
      ...daemons.map(adminOption),
      { flags: '--json', help: 'print a JSON object a line' },
    ],
    examples: [
      ['overlapd watch', 'all of this host, until Ctrl-C'],
      ['overlapd watch --refused', 'what goes wrong'],
      ['overlapd watch --reason no_port --count 1', 'wait for the next of these'],
      ['overlapd watch --json | jq -r .instanceId', 'for programs'],
    ],
    exitCodes: [
      [0, 'ended by the operator, by --count, or since the output is not read'],
      [2, 'no daemon could be watched, or called wrongly'],
    ],
    run: (call) => watch(call, clock),
  }
}

/** The query of `/events`. @throws {UsageError} */
function queryOf({ options }: CommandCall): URLSearchParams {
  const given = filterNames.flatMap((name): [string, string][] => {
    const text = name === 'only' ? undefined : options.text(name)
    return text === undefined ? [] : [[name, text]]
  })
  if (options.flag('refused')) given.push(['only', 'refused'])
  const filter = readEventFilter(Object.fromEntries(given))
  if (typeof filter === 'string') throw new UsageError(filter)
  return new URLSearchParams(given)
}

async function watch(call: CommandCall, clock: Clock): Promise<number> {
  const query = queryOf(call)
  const path = query.size === 0 ? '/events' : `/events?${query.toString()}`
  const most = call.options.integer('count', { min: 1, max: 1_000_000_000 })
  const ending = new AbortController()
  void stopSignal(systemClock).then(() => ending.abort())
  const signal = AbortSignal.any([ending.signal, call.terminal.closed])
  const printer = new Printer(call, most, () => ending.abort())
  const absent = new Set<Daemon>()
  await Promise.all(
    daemons.map((daemon) =>
      watchDaemon({
        call,
        daemon,
        path,
        printer,
        clock,
        signal,
        onAbsent() {
          absent.add(daemon)
          if (absent.size === daemons.length) ending.abort()
        },
      }),
    ),
  )
  if (absent.size < daemons.length) return 0
  call.terminal.error(doctorHint)
  return 2
}

interface WatchedStream {
  readonly call: CommandCall
  readonly daemon: Daemon
  readonly path: string
  readonly printer: Printer
  readonly clock: Clock
  readonly signal: AbortSignal
  /** It was not there when the command began. */
  readonly onAbsent: () => void
}

/** Reads the stream of one daemon until the signal, over its restarts. */
async function watchDaemon(stream: WatchedStream): Promise<void> {
  const { call, daemon, path, printer, clock, signal } = stream
  const { terminal } = call
  const backoff = new Backoff(firstPause, longestPause)
  let isAway = false
  let wasWatched = false
  while (!signal.aborted) {
    let why = 'The daemon ended the stream'
    try {
      for await (const event of readEvents(adminAddress(daemon, call), path, signal)) {
        if (isAway) terminal.error(`${daemon}: watched again\n`)
        isAway = false
        wasWatched = true
        backoff.reset()
        printer.take(daemon, event)
      }
    } catch (thrown) {
      if (!(thrown instanceof AdminUnreachableError)) throw thrown
      why = thrown.message
    }
    printer.left(daemon)
    if (signal.aborted) return
    if (!isAway) {
      const how = wasWatched ? 'not watched until it is back' : 'not watched'
      terminal.error(`${daemon}: ${how}. ${terminalText(why)}\n`)
      if (!wasWatched) stream.onAbsent()
    }
    isAway = true
    // Ends early at the signal, which the loop sees.
    await clock.sleep(backoff.next(), signal).catch(() => undefined)
  }
}

/** Prints what both streams bring, each request once. */
class Printer {
  readonly #call: CommandCall
  readonly #most: Count | undefined
  readonly #enough: () => void
  readonly #requests = new WatchedRequests()
  #printed: Count = 0

  constructor(call: CommandCall, most: Count | undefined, enough: () => void) {
    this.#call = call
    this.#most = most
    this.#enough = enough
  }

  take(daemon: Daemon, { kind, data }: StreamEvent): void {
    if (!isMapping(data)) return
    if (kind === 'watching') this.#requests.watches(daemon)
    else if (kind === 'missed') this.#missed(daemon, data)
    else if (kind === 'request' && this.#requests.isNew(daemon, data)) this.#print(data)
  }

  left(daemon: Daemon): void {
    this.#requests.leaves(daemon)
  }

  #missed(daemon: Daemon, { count }: Readonly<Record<string, unknown>>): void {
    this.#call.terminal.error(`${daemon}: ${String(Number(count))} requests are not shown\n`)
  }

  #print(event: Readonly<Record<string, unknown>>): void {
    if (this.#most !== undefined && this.#printed >= this.#most) return
    const { terminal, options } = this.#call
    terminal.out(options.flag('json') ? jsonLine(event) : `${eventLine(event)}\n`)
    this.#printed += 1
    if (this.#printed === this.#most) this.#enough()
  }
}

/** `14:02:11.503  200  10.0.0.10  router/5b2e…  6c4d…  3.1 ms  GET /latest/meta-data/`, or with the reason instead of the instance. */
export function eventLine(event: Readonly<Record<string, unknown>>): string {
  const { at, status, outcome, reason, instanceId, span } = event
  const time = /T([\d:.]+)Z$/.exec(textOf(at))?.[1] ?? textOf(at)
  const got = typeof status === 'number' && status > 0 ? String(status) : '---'
  const what = outcome === 'relayed' && reason === undefined ? '' : textOf(reason ?? outcome)
  const whose = [what, textOf(instanceId)].filter((text) => text !== '').join(' ')
  const cells = [
    time.padEnd(12),
    got,
    textOf(event['sourceIp']).padEnd(15),
    textOf(event['scope']),
    whose === '' ? '-' : whose,
    `${typeof span === 'number' ? span.toFixed(1) : '?'} ms`,
    `${textOf(event['method'])} ${textOf(event['target'])}`,
    textOf(event['requestId']),
  ]
  return cells.map(terminalText).join('  ').trimEnd()
}
