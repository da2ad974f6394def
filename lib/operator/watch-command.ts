/** What do guests ask right now, and what do they get? */
import { jsonLine } from '../cli/json-output.ts'
import { adminAddress, adminOption, daemons } from '../cli/admin-sockets.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../cli/command.ts'
import { doctorHint } from '../cli/failure.ts'
import type { Daemon } from '../config/defaults.ts'
import { isMapping } from '../config/entry.ts'
import { AdminUnreachableError } from '../http/admin-client.ts'
import { readEvents, type StreamEvent } from '../http/event-reader.ts'
import { terminalText } from '../observe/text-table.ts'
import { systemClock, type Count } from '../runtime/clock.ts'
import { stopSignal } from '../runtime/lifecycle.ts'
import { textOf } from './answer-fields.ts'
import { filterNames, readEventFilter } from './request-event.ts'
import { WatchedRequests } from './watched-requests.ts'

/** `watch`: a line for each request as it ends. */
export function watchCommand(): CommandSpec {
  return {
    name: 'watch',
    summary: 'print requests of guests and refusals as they happen',
    description: `Prints a line for each request of a guest once it is over: when, what the guest got, from where it came, whose metadata
that was. The agent knows the instance; the proxy adds what its workers refused by themselves and what went straight
to compute. With several filters a request must fit all of them. Slows no guest down: a terminal that does not keep
up loses lines, and the output says how many.`,
    options: [
      { flags: '--network <id>', help: 'of instances on this network' },
      { flags: '--router <id>', help: 'that came in through the namespace of this router' },
      { flags: '--instance <id>', help: 'of this instance' },
      { flags: '--reason <code>', help: 'that were refused for this reason' },
      { flags: '--refused', help: 'that did not get what they wanted' },
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
      [0, 'ended by the operator, by --count, or since nobody reads the output'],
      [1, 'the daemons ended the streams'],
      [2, 'could not watch, or called wrongly'],
    ],
    run: watch,
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

async function watch(call: CommandCall): Promise<number> {
  const query = queryOf(call)
  const most = call.options.integer('count', { min: 1, max: 1_000_000_000 })
  const ending = new AbortController()
  void stopSignal(systemClock).then(() => ending.abort())
  const signal = AbortSignal.any([ending.signal, call.terminal.closed])
  const printer = new Printer(call, most, () => ending.abort())
  const ends = await Promise.all(
    daemons.map((daemon) => watchDaemon(call, daemon, query, printer, signal)),
  )
  if (signal.aborted) return 0
  if (ends.includes('ended')) return 1
  call.terminal.error(doctorHint)
  return 2
}

async function watchDaemon(
  call: CommandCall,
  daemon: Daemon,
  query: URLSearchParams,
  printer: Printer,
  signal: AbortSignal,
): Promise<'ended' | 'unreachable'> {
  const path = query.size === 0 ? '/events' : `/events?${query.toString()}`
  let isWatched = false
  try {
    for await (const event of readEvents(adminAddress(daemon, call), path, signal)) {
      isWatched = true
      printer.take(daemon, event)
    }
    if (!signal.aborted) call.terminal.error(`${daemon}: ended the stream\n`)
    return 'ended'
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    const how = isWatched ? 'not watched any more' : 'not watched'
    call.terminal.error(`${daemon}: ${how}. ${terminalText(thrown.message)}\n`)
    return isWatched ? 'ended' : 'unreachable'
  } finally {
    printer.left(daemon)
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
