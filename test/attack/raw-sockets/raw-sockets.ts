import { setTimeout as pause } from 'node:timers/promises'
import * as fc from 'fast-check'
import type { RawConnection } from '../../support/raw-http.ts'
import type { RecordingUpstream, UpstreamRequest } from '../../support/recording-upstream.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain, instanceOf, startCompute } from '../attacked-chain.ts'
import type { Seat } from '../guest-seats.ts'
import { generatedHead } from '../http-edge/generated-head.ts'
import { strictRequests } from './strict-requests.ts'

const attackers = 8
/** Between two connections of one attacker, so that others have a part of the machine. */
const rest = 5
/** A connection on which nothing more comes is left after this. */
const patience = 2_000

/** What comes behind a head: bodies right and wrong, and then another request. */
const generatedBody = fc.oneof(
  fc.constant(''),
  fc.constantFrom(
    'abc',
    '0\r\n\r\n',
    '3\r\nabc\r\n0\r\n\r\n',
    '3;x=y\r\nabc\r\n0\r\nT: x\r\n\r\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '3\nabc\n0\n\n',
    '3\r\nabcdef\r\n0\r\n\r\n',
    '3\r\nabcX\r\n0\r\n\r\n',
    'fffffffffffffffff\r\nabc',
    '3 \r\nabc\r\n0\r\n\r\n',
    '\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a'.repeat(20_000),
  ),
)

const generatedAttack = fc.record({
  head: generatedHead,
  body: generatedBody,
  pieces: fc.integer({ min: 1, max: 4 }),
  ending: fc.constantFrom('waits', 'waits', 'half-closes', 'resets', 'floods'),
})

/** Guests with bare sockets, through namespace, worker, agent and compute: no bytes run a request that is not there by RFC 9112. */
export const rawSockets: AttackClass = {
  name: 'raw-sockets',
  what: 'generated requests, bodies and endings from a guest: nothing hidden runs, nobody else suffers',
  needsRoot: true,
  share: 2,
  async run(context) {
    const compute = await startCompute(context)
    const chain = await AttackedChain.start(context, { computeUrl: compute.url })
    const [attacker, ...neighbours] = chain.seats.all
    if (attacker === undefined) throw new Error('There is no attacker')
    const attack = new RawAttack(context, chain, attacker, compute)
    context.begin()
    await Promise.all([
      chain.watch(neighbours),
      ...Array.from({ length: attackers }, (_, lane) => attack.lane(lane)),
    ])
    await chain.checkProcesses('raw sockets')
  },
}

type Attack = typeof generatedAttack extends fc.Arbitrary<infer One> ? One : never

class RawAttack {
  readonly #context: AttackContext
  readonly #chain: AttackedChain
  readonly #attacker: Seat
  /** Targets of hidden requests that RFC 9112 does not let anybody find, with what they were hidden behind. */
  readonly #hidden = new Map<string, string>()
  #number = 0

  constructor(
    context: AttackContext,
    chain: AttackedChain,
    attacker: Seat,
    upstream: RecordingUpstream,
  ) {
    this.#context = context
    this.#chain = chain
    this.#attacker = attacker
    const { answer } = upstream
    upstream.answer = (request, response) => {
      upstream.requests.length = 0
      this.#judge(request)
      return answer(request, response)
    }
  }

  async lane(lane: number): Promise<void> {
    for (let round = 0; !this.#context.isOver(); round += 1) {
      const seed = this.#context.seed + lane * 1_000_003 + round
      for (const attack of fc.sample(generatedAttack, { seed, numRuns: 20 })) {
        if (this.#context.isOver()) return
        await this.#try(attack, seed)
        await pause(rest)
      }
    }
  }

  async #try({ head, body, pieces, ending }: Attack, seed: number): Promise<void> {
    this.#number += 1
    const target = `/hidden-${this.#number}`
    const text = `${head}${body}GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`
    if (!strictRequests(text).some((request) => request.target === target)) {
      this.#hidden.set(target, `${JSON.stringify(head + body)} (seed ${seed})`)
    }
    this.#context.report.tried()
    const connection = this.#chain.seats.connect(this.#attacker)
    const bytes = Buffer.from(text, 'latin1')
    const size = Math.ceil(bytes.length / pieces)
    for (let at = 0; at < bytes.length; at += size) {
      await connection.write(bytes.subarray(at, at + size))
    }
    if (ending === 'floods') {
      await connection.write('GET /flood HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(200))
    }
    if (ending === 'half-closes') connection.socket.end()
    if (ending === 'resets') connection.socket.resetAndDestroy()
    else await this.#readAll(connection)
    connection.close()
  }

  /** What reaches compute must be there by RFC 9112, and be the attacker's own. */
  #judge({ target, headers }: UpstreamRequest): void {
    const { report } = this.#context
    const behind = this.#hidden.get(target)
    if (behind !== undefined) report.fault('accepted', `a request hidden behind ${behind}`)
    const isAttackers = target.startsWith('/hidden-') || target === '/flood'
    if (isAttackers && headers['x-instance-id'] !== instanceOf(this.#attacker)) {
      report.fault('wrong', 'an attacker reached compute as another instance')
    }
  }

  /** Reads until nothing more comes. Whatever instance is named is the attacker's own. */
  async #readAll(connection: RawConnection): Promise<void> {
    const late = setTimeout(() => connection.close(), patience)
    const text = (await connection.rest()).toString('latin1')
    clearTimeout(late)
    for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
      this.#context.report.count(`answered ${status}`)
    }
    const named = text.match(/d0000000-0000-4000-8000-[0-9a-f]{12}/g) ?? []
    if (named.some((id) => id !== instanceOf(this.#attacker))) {
      this.#context.report.fault('wrong', 'an attacker was given another instance')
    }
  }
}
