/** How do two proxies talk while one takes over from the other? In lines of JSON, each answered before the next. */
import type { Socket } from 'node:net'
import type { Milliseconds } from '../../lib/clock.ts'

/** What may be said. Descriptors go beside it, see handed-sockets.ts. */
export type HandoverMessage =
  /** New to old: give me your sockets, by the place that `inbox` names. */
  | { readonly kind: 'take'; readonly inbox: string }
  /** Old to new: so many were sent to the inbox. */
  | { readonly kind: 'handed'; readonly count: number }
  /** New to old: I have them. */
  | { readonly kind: 'taken' }
  /** Old to new: that was all. */
  | { readonly kind: 'all' }
  /** New to old: I serve, stop. */
  | { readonly kind: 'go' }
  /** Old to new: my sockets for operators are free; what runs here is finished and nothing new begun. */
  | { readonly kind: 'gone' }

const kinds: ReadonlySet<unknown> = new Set(['take', 'handed', 'taken', 'all', 'go', 'gone'])
const longestLine = 4_096

/** One connection between two proxies. */
export class LineChannel {
  readonly #socket: Socket
  readonly #lines: string[] = []
  #rest = ''
  #wake: (() => void) | undefined
  #isEnded = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#end())
    socket.on('end', () => this.#end())
  }

  say(message: HandoverMessage): void {
    this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /**
   * The next message.
   * @throws Error when the other side is gone, says nothing in time, or says what is no message
   */
  async next<Kind extends HandoverMessage['kind']>(
    wanted: readonly Kind[],
    limit: Milliseconds,
  ): Promise<Extract<HandoverMessage, { kind: Kind }>> {
    const late = setTimeout(() => this.close(), limit)
    late.unref()
    try {
      while (this.#lines.length === 0 && !this.#isEnded) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      clearTimeout(late)
    }
    const line = this.#lines.shift()
    if (line === undefined) throw new Error('the other proxy is gone or does not answer')
    const message = parseMessage(line)
    if (message === undefined || !(wanted as readonly string[]).includes(message.kind)) {
      throw new Error(`the other proxy says "${line.slice(0, 100)}"`)
    }
    return message as Extract<HandoverMessage, { kind: Kind }>
  }

  close(): void {
    this.#socket.destroy()
    this.#end()
  }

  #take(text: string): void {
    this.#rest += text
    const lines = this.#rest.split('\n')
    this.#rest = lines.pop() ?? ''
    this.#lines.push(...lines)
    if (this.#rest.length > longestLine || this.#lines.length > longestLine) this.close()
    this.#wake?.()
  }

  #end(): void {
    this.#isEnded = true
    this.#wake?.()
  }
}

function parseMessage(line: string): HandoverMessage | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { kind, inbox, count } = value as Readonly<Record<string, unknown>>
  if (!kinds.has(kind)) return undefined
  if (kind === 'take' && typeof inbox !== 'string') return undefined
  if (kind === 'handed' && !Number.isSafeInteger(count)) return undefined
  return value as HandoverMessage
}
