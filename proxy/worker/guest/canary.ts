/** How does a worker send a request as the canary, and how does it recognise one? */
import { timingSafeEqual } from 'node:crypto'
import { ServerResponse, type IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Bytes, Clock } from '../../../lib/runtime/clock.ts'
import type { GetResponse } from '../../../lib/fast-http/get-response.ts'
import type { MetadataError } from '../../../lib/runtime/errors.ts'
import { isReasonCode, reasonRow, type ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import { ownEnd, peerEnd } from '../../netns/socket-ends.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import { notOurs, type CanaryOutcome, type WorkerConfig } from '../shared/protocol.ts'

type CanaryConfig = NonNullable<WorkerConfig['canary']>

/** Answered by a worker of the supervisor before, which finishes: it has another token. */
const otherSupervisor = 421
const canaryTarget = /^\/canary\/[0-9a-f]{64}$/

/** Our own answer is a fraction of that. */
const longestAnswer: Bytes = 4_096

/** Sends a request over a socket that is connecting. Never rejects. */
export function checkAsCanary(
  fd: number,
  config: CanaryConfig,
  clock: Clock,
): Promise<CanaryOutcome> {
  const began = clock.now()
  const socket = new Socket({ fd, readable: true, writable: true })
  return new Promise((resolve) => {
    let answer = ''
    const finish = (outcome: CanaryOutcome): void => {
      cancel()
      socket.destroy()
      resolve(outcome)
    }
    const cancel = clock.schedule(config.timeout, () => {
      finish({ ok: false, why: 'no answer in time' })
    })
    socket.setEncoding('latin1')
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      finish({ ok: false, why: cause.code ?? 'failed' })
    })
    socket.on('data', (text: string) => {
      answer += text
      if (answer.includes('\r\n\r\n') || answer.length > longestAnswer) {
        finish(outcomeOf(answer, clock.now() - began))
      }
    })
    socket.on('end', () => finish({ ok: false, why: 'closed without an answer' }))
    // What is written waits until it has connected.
    socket.write(`GET ${config.target} HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n`)
  })
}

function outcomeOf(answer: string, latency: number): CanaryOutcome {
  if (answer.startsWith(`HTTP/1.1 ${otherSupervisor} `)) return { ok: false, why: notOurs }
  if (answer.startsWith('HTTP/1.1 204 ')) return { ok: true, latency }
  const reason = new RegExp(`^${wireHeaders.reason}: (\\w+)\\r$`, 'im').exec(answer)?.[1]
  return { ok: false, why: isReasonCode(reason) ? reason : 'not answered by us' }
}

/** No guest's connection has one address at both ends. */
export function isFromInside(fd: number): boolean {
  const peer = peerEnd(fd)
  return peer !== undefined && peer.address === ownEnd(fd)?.address
}

/** Queries whether the agent is ready, for no guest. */
export type CheckReady = (receiver: AnswerReceiver) => void

/** Answers the canary, and closes the connection of whoever else is inside. */
export function answerCanary(
  request: Pick<IncomingMessage, 'url'>,
  response: ServerResponse | GetResponse,
  config: CanaryConfig,
  checkReady: CheckReady,
): void {
  const target = request.url ?? ''
  if (!isSameText(target, config.target)) {
    // Of the next supervisor, or of the one before: it is left alone.
    if (canaryTarget.test(target)) answerLast(response, otherSupervisor)
    else response.destroy()
    return
  }
  const answer = (reason?: ReasonCode): void => {
    if (response.headersSent || response.destroyed) return
    if (reason === undefined) answerLast(response, 204)
    else answerLast(response, reasonRow(reason).status, { [wireHeaders.reason]: reason })
  }
  if (response instanceof ServerResponse) response.on('error', () => undefined)
  if (config.checksAgent) checkReady(new ReadyReceiver(answer))
  else answer()
}

/** Without a body, and nothing after it. */
function answerLast(
  response: ServerResponse | GetResponse,
  status: number,
  headers: Record<string, string> = {},
): void {
  response.shouldKeepAlive = false
  response.writeHead(status, { ...headers, 'content-length': '0' })
  response.end()
}

function isSameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

class ReadyReceiver implements AnswerReceiver {
  readonly #answer: (reason?: ReasonCode) => void
  #reason: ReasonCode | undefined

  constructor(answer: (reason?: ReasonCode) => void) {
    this.#answer = answer
  }

  answerHead(status: number, _headers: string[], reason: ReasonCode | undefined): void {
    if (status !== 204) this.#reason = reason ?? 'agent_broken_answer'
  }

  answerData(): boolean {
    return true
  }

  answerEnd(): void {
    this.#answer(this.#reason)
  }

  answerFailed(failure: MetadataError): void {
    this.#answer(failure.code)
  }
}
