import type { Duplex } from 'node:stream'
import type { Bytes, Cancel, Clock, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { JsonStream } from './json-stream.ts'
import { OvsdbError } from './ovsdb-error.ts'
import { readRpcMessage, type JsonRpcMessage } from './rpc-message.ts'

export interface OvsdbSessionOptions {
  readonly clock: Clock
  readonly messageBytes: Bytes
  /** How long after one echo was requested, and answered, the next one is. */
  readonly probeInterval: Milliseconds
  /** After this long without a byte the session is given up. */
  readonly probeTimeout: Milliseconds
  /** After this long without a whole message too, however many bytes come. */
  readonly messageTimeout: Milliseconds
  /** Called in order of arrival; what it throws ends the session. */
  readonly onNotification: (method: string, params: unknown) => void
  /**
   * The server answered an echo. All that it knew at `requestedAt` has arrived: messages come in the order in which they were
   * sent. Any other message may have been on its way for long.
   */
  readonly onEcho?: (requestedAt: MonotonicMilliseconds) => void
  /** Not a byte came for two probe intervals, or one came again. */
  readonly onSilence?: (isSilent: boolean) => void
}

interface Outstanding {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: OvsdbError) => void
  readonly cancelTimer: Cancel
}

/** Deeper than any OVSDB value, far from what would exhaust the parser. */
const deepest = 32
/** An echo of ours; a server repeats it. */
const probeId = 'echo'

/** One JSON-RPC 1.0 conversation with an OVSDB server (RFC 7047 §4). */
export class OvsdbSession {
  readonly #stream: Duplex
  readonly #options: OvsdbSessionOptions
  readonly #json: JsonStream
  readonly #outstanding = new Map<number, Outstanding>()
  #nextId = 1
  #lastByte: MonotonicMilliseconds
  #lastMessage: MonotonicMilliseconds
  /** When the echo was requested that was answered last; at first, when the session began. */
  #answeredAt: MonotonicMilliseconds
  /** When the echo was requested that is not answered yet. */
  #requestedAt: MonotonicMilliseconds | undefined
  #isSilent = false
  #cancelTimer: Cancel = () => undefined
  #end: OvsdbError | undefined
  /** Resolves with the reason when the session is over; never rejects. */
  readonly ended: Promise<OvsdbError>
  #reportEnd: (error: OvsdbError) => void = () => undefined

  constructor(stream: Duplex, options: OvsdbSessionOptions) {
    this.#stream = stream
    this.#options = options
    this.#json = new JsonStream({ messageBytes: options.messageBytes, depth: deepest })
    this.#lastByte = options.clock.now()
    this.#lastMessage = this.#lastByte
    this.#answeredAt = this.#lastByte
    this.ended = new Promise((resolve) => {
      this.#reportEnd = resolve
    })
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.once('error', (cause) =>
      this.fail(new OvsdbError('closed', `The connection broke: ${causeText(cause)}`, { cause })),
    )
    stream.once('close', () =>
      this.fail(new OvsdbError('closed', 'The server closed the connection')),
    )
    this.#watch()
  }

  /**
   * Sends a request and waits. The result may be `LongJson`.
   * @throws OvsdbError `refused` for an error in the reply, `timeout`, or why the session ended
   */
  request(method: string, params: readonly unknown[], limit: Milliseconds): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#end) {
        reject(this.#end)
        return
      }
      const id = this.#nextId
      this.#nextId += 1
      const cancelTimer = this.#options.clock.schedule(limit, () => {
        this.#outstanding.delete(id)
        reject(new OvsdbError('timeout', `The server did not answer "${method}" in time`))
      })
      this.#outstanding.set(id, { resolve, reject, cancelTimer })
      this.#send({ method, params, id })
    })
  }

  /** Requests an echo out of turn and waits for it. @throws OvsdbError `timeout`, or why the session ended */
  async confirm(limit: Milliseconds): Promise<void> {
    const requestedAt = this.#options.clock.now()
    try {
      await this.request('echo', [], limit)
    } catch (thrown) {
      // A refusal comes in its turn as well.
      if (!(thrown instanceof OvsdbError) || thrown.failure !== 'refused') throw thrown
    }
    this.#noteEcho(requestedAt)
  }

  /** Ends the session for a reason; the first one counts. */
  fail(reason: OvsdbError): void {
    if (this.#end) return
    this.#end = reason
    this.#cancelTimer()
    this.#stream.destroy()
    for (const { reject, cancelTimer } of this.#outstanding.values()) {
      cancelTimer()
      reject(reason)
    }
    this.#outstanding.clear()
    this.#reportEnd(reason)
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    // A server that does not read while it requests echoes would have us fill our memory.
    if (this.#stream.writableLength > this.#options.messageBytes) {
      this.fail(new OvsdbError('overflow', 'The server does not read what is sent to it'))
      return
    }
    if (!this.#end) this.#stream.write(JSON.stringify(message))
  }

  #receive(chunk: Buffer): void {
    if (this.#end) return
    this.#lastByte = this.#options.clock.now()
    this.#noteSilence()
    try {
      for (const text of this.#json.push(chunk)) {
        this.#lastMessage = this.#lastByte
        this.#handle(readRpcMessage(text))
      }
    } catch (thrown) {
      const reason =
        thrown instanceof OvsdbError
          ? thrown
          : new OvsdbError('protocol', `Cannot take in a message: ${causeText(thrown)}`, {
              cause: thrown,
            })
      this.fail(reason)
    }
  }

  #handle(message: JsonRpcMessage): void {
    // An earlier message of the same chunk may have ended the session.
    if (this.#end) return
    switch (message.kind) {
      case 'notification':
        this.#options.onNotification(message.method, message.params)
        return
      case 'request':
        this.#answer(message.method, message.params, message.id)
        return
      case 'reply':
        this.#settle(message)
    }
  }

  #answer(method: string, params: unknown, id: unknown): void {
    const answer =
      method === 'echo'
        ? { result: params ?? [], error: null, id }
        : { result: null, error: 'unknown method', id }
    this.#send(answer)
  }

  #settle(reply: JsonRpcMessage & { readonly kind: 'reply' }): void {
    if (reply.id === probeId) {
      this.#answered()
      return
    }
    const waiting = typeof reply.id === 'number' ? this.#outstanding.get(reply.id) : undefined
    // Late, after its time-out: no caller waits for it any more.
    if (waiting === undefined || typeof reply.id !== 'number') return
    this.#outstanding.delete(reply.id)
    waiting.cancelTimer()
    if (reply.error === null) waiting.resolve(reply.result)
    else waiting.reject(refusal(reply.error))
  }

  #answered(): void {
    const requestedAt = this.#requestedAt
    // No echo was requested: a server that talks to itself confirms nothing.
    if (requestedAt === undefined) return
    this.#requestedAt = undefined
    this.#noteEcho(requestedAt)
    if (!this.#end) this.#watch()
  }

  #noteEcho(requestedAt: MonotonicMilliseconds): void {
    this.#answeredAt = Math.max(this.#answeredAt, requestedAt)
    this.#options.onEcho?.(requestedAt)
  }

  #noteSilence(): void {
    const { clock, probeInterval, onSilence } = this.#options
    const isSilent = clock.now() - this.#lastByte >= 2 * probeInterval
    if (isSilent === this.#isSilent) return
    this.#isSilent = isSilent
    onSilence?.(isSilent)
  }

  /** Does what is due, and comes back when the next thing is. */
  #watch(): void {
    const { clock, messageTimeout, probeInterval, probeTimeout } = this.#options
    this.#cancelTimer()
    const now = clock.now()
    const silenceEnds = this.#lastByte + probeTimeout
    const messageEnds = this.#lastMessage + messageTimeout
    if (now >= silenceEnds || now >= messageEnds) {
      this.fail(new OvsdbError('timeout', 'The server sent nothing for too long'))
      return
    }
    if (this.#requestedAt === undefined && now >= this.#answeredAt + probeInterval) {
      this.#requestedAt = now
      this.#send({ method: 'echo', params: [], id: probeId })
    }
    this.#noteSilence()
    if (this.#end) return
    const next = [silenceEnds, messageEnds]
    if (this.#requestedAt === undefined) next.push(this.#answeredAt + probeInterval)
    if (!this.#isSilent) next.push(this.#lastByte + 2 * probeInterval)
    // A timer that fires a little early must not find the same thing not yet due over and over.
    const span = Math.max(1, Math.min(...next) - now)
    this.#cancelTimer = clock.schedule(span, () => this.#watch())
  }
}

/** RFC 7047 §3.1: an error is an object with `error` and perhaps `details`; some servers send bare text. */
function refusal(error: unknown): OvsdbError {
  const fields: { readonly error?: unknown; readonly details?: unknown } =
    typeof error === 'object' && error !== null ? error : { error }
  const word = typeof fields.error === 'string' ? fields.error.slice(0, 200) : 'unreadable error'
  const details = typeof fields.details === 'string' ? `: ${fields.details.slice(0, 500)}` : ''
  return new OvsdbError('refused', `The server refused: ${word}${details}`, { refusal: word })
}
