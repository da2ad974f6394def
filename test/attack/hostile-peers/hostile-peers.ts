import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { routerId } from '../../conformance/topology.ts'
import { RawConnection } from '../../support/raw-http.ts'
import { openFolder } from '../../support/running-proxy.ts'
import { freeTcpPort } from '../../support/start-worker.ts'
import { TestAuthority, type Issued } from '../../support/test-authority.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain } from '../attacked-chain.ts'
import type { Seat } from '../guest-seats.ts'
import { MemoryWatch, mostMemory } from '../memory-watch.ts'
import { forgedRequest, honestRequest, mutatedBytes } from './peer-request.ts'

const lanes = 6
/** Connections opened at once by one who floods. */
const flooding = 100
/** A connection on which nothing more comes is left after this. */
const patience = 3_000
/** A host gives up on an answer after this. */
const hostPatience = 10_000
/** The router for which the attacker's certificate may speak. */
const granted = 1

/** Proxies of other hosts whose certificates were stolen, strangers, and whoever may open the agent's sockets on its own host. */
export const hostilePeers: AttackClass = {
  name: 'hostile-peers',
  what: 'peers of the agent claim what is not theirs, mutate, flood and hang: no scope without a grant, others are served',
  needsRoot: true,
  async run(context) {
    const peers = new Peers(context, await freeTcpPort())
    const chain = await AttackedChain.start(context, { listeners: [peers.listener] })
    const attack = new PeerAttack(context, chain, peers)
    const memory = new MemoryWatch([chain.agent.pid])
    context.begin()
    await Promise.all([
      chain.watch(chain.seats.all),
      attack.askAsOtherHost(),
      ...Array.from({ length: lanes }, () => attack.lane()),
    ])
    await chain.checkProcesses('hostile peers')
    const end = memory.stop()
    if (memory.max > mostMemory) context.report.fault('crashed', 'the agent took too much memory')
    context.report.measured('agent MiB start/end/max', `${memory.start}/${end}/${memory.max}`)
  },
}

/** The agent's listener for other hosts, and certificates good and bad. */
class Peers {
  readonly listener: Readonly<Record<string, unknown>>
  readonly #port: number
  readonly #authority: TestAuthority
  readonly #stolen: Issued
  readonly #other: Issued
  readonly #useless: readonly Issued[]

  constructor({ t }: AttackContext, port: number) {
    const folder = openFolder(t)
    const authority = new TestAuthority(folder)
    const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
    this.#port = port
    this.#authority = authority
    this.#stolen = authority.issue({ commonName: 'host-a' })
    this.#other = authority.issue({ commonName: 'host-b' })
    this.#useless = [
      new TestAuthority(folder, 'strangers').issue({ commonName: 'host-b' }),
      authority.issue({ commonName: 'host-b', isOver: true }),
      authority.issue({ commonName: 'host-b', usage: 'serverAuth' }),
      authority.issue({ commonName: 'host-c' }),
      authority.issue({ commonName: 'host-b', dnsNames: ['host-c'] }),
      authority.issue({ dnsNames: ['host-a', 'host-b'] }),
    ]
    this.listener = {
      kind: 'overlapd',
      tcp: `127.0.0.1:${port}`,
      tls: {
        certificate_file: server.certificateFile,
        key_file: server.keyFile,
        ca_file: authority.caFile,
      },
      proxies: [
        { name: 'host-a', scopes: [`router/${routerId(granted)}`] },
        { name: 'host-b', scopes: ['*'] },
      ],
    }
  }

  asStolen(): Socket {
    return this.#connect(this.#stolen)
  }

  asOther(): Socket {
    return this.#connect(this.#other)
  }

  asStranger({ random }: AttackContext): Socket {
    return this.#connect(random.chance(20) ? undefined : random.pick(this.#useless))
  }

  /** Without TLS. */
  plain(): Socket {
    return connect(this.#port, '127.0.0.1')
  }

  #connect(issued: Issued | undefined): Socket {
    return connectTls({
      host: '127.0.0.1',
      port: this.#port,
      ca: readFileSync(this.#authority.caFile),
      ...(issued && {
        cert: readFileSync(issued.certificateFile),
        key: readFileSync(issued.keyFile),
      }),
    })
  }
}

class PeerAttack {
  readonly #context: AttackContext
  readonly #chain: AttackedChain
  readonly #peers: Peers

  constructor(context: AttackContext, chain: AttackedChain, peers: Peers) {
    this.#context = context
    this.#chain = chain
    this.#peers = peers
  }

  async lane(): Promise<void> {
    const { random } = this.#context
    const ways = [
      () => this.#claim('a stolen certificate', this.#peers.asStolen(), isGranted),
      () => this.#claim('a stolen certificate', this.#peers.asStolen(), isGranted),
      () => this.#claim('a useless certificate', this.#peers.asStranger(this.#context), isNobody),
      () => this.#claim('no TLS', this.#peers.plain(), isNobody),
      () => this.#claim('the local socket', connect(this.#chain.sockets.agent), isAny),
      () => this.#claim('the local socket', connect(this.#chain.sockets.agent), isAny),
      () => this.#hang(),
      () => this.#flood(),
      () => this.#leases(),
    ]
    while (!this.#context.isOver()) {
      await random.pick(ways)()
      await pause(5)
    }
  }

  /** A host that does nothing wrong is answered, whatever others do. */
  async askAsOtherHost(): Promise<void> {
    const { report, random } = this.#context
    let slowest = 0
    while (!this.#context.isOver()) {
      const { text, instance } = honestRequest(random.pick(this.#chain.seats.all))
      report.othersTried()
      const begun = performance.now()
      const connection = RawConnection.wrap(this.#peers.asOther())
      const late = setTimeout(() => connection.close(), hostPatience)
      void connection.write(text)
      const answer = await connection.answer()
      clearTimeout(late)
      connection.close()
      slowest = Math.max(slowest, performance.now() - begun)
      if (answer?.status !== 200 || answer.body.toString() !== instance) {
        report.fault('othersFailed', `${answer?.status ?? 'no answer'} for another host`)
      }
      await pause(50)
    }
    report.measured('slowest answer to another host, ms', Math.round(slowest))
  }

  async #claim(what: string, socket: Socket, mayName: (seat: Seat) => boolean): Promise<void> {
    const { random, report } = this.#context
    const seats = this.#chain.seats.all
    const connection = RawConnection.wrap(socket)
    const late = setTimeout(() => connection.close(), patience)
    for (let count = 1 + random.below(5); count > 0; count -= 1) {
      report.tried()
      const request = forgedRequest(random, seats, mayName)
      const isMutated = random.chance(30)
      void connection.write(isMutated ? mutatedBytes(random, request.text) : request.text)
      const answer = await connection.answer()
      report.count(`answered ${answer?.status ?? 'with nothing'}`)
      const body = answer?.body.toString() ?? ''
      if (answer?.status === 200) this.#judge(what, body, request.instance, mayName, isMutated)
      if (answer === undefined || isMutated) break
    }
    clearTimeout(late)
    connection.close()
  }

  #judge(
    what: string,
    body: string,
    instance: string | undefined,
    mayName: (seat: Seat) => boolean,
    isMutated: boolean,
  ): void {
    const { report } = this.#context
    const named = this.#chain.seats.all.find((seat) => honestRequest(seat).instance === body)
    if (named === undefined || !mayName(named)) {
      report.fault('accepted', `${what}: an instance was named that the peer may not speak for`)
    } else if (!isMutated && body !== instance) {
      report.fault('accepted', `${what}: an instance was named on forged claims`)
    }
  }

  /** Half a handshake, half a head, half a body. */
  async #hang(): Promise<void> {
    const { random, report } = this.#context
    report.tried()
    const socket = random.pick([
      () => this.#peers.plain(),
      () => this.#peers.asStolen(),
      () => connect(this.#chain.sockets.agent),
    ])()
    socket.on('error', () => undefined)
    socket.write(
      random.pick(['', 'GET /', 'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n', '\u0016\u0003']),
    )
    await pause(random.below(500))
    socket.destroy()
  }

  async #flood(): Promise<void> {
    const { random, report } = this.#context
    const open = random.pick([
      () => this.#peers.plain(),
      () => connect(this.#chain.sockets.agent),
      () => connect(this.#chain.sockets.lease),
    ])
    const { text } = honestRequest(random.pick(this.#chain.seats.all))
    const sockets = Array.from({ length: flooding }, () => {
      report.tried()
      const socket = open()
      socket.on('error', () => undefined)
      socket.pause()
      socket.write(text.repeat(random.below(50)))
      return socket
    })
    await pause(200)
    for (const socket of sockets) socket.destroy()
  }

  /** Nonsense where workers ask for leases; a lease for a wrong key would be an identity without a grant. */
  async #leases(): Promise<void> {
    const { random, report } = this.#context
    if (this.#context.forwarding !== 'direct') return
    const seat = random.pick(this.#chain.seats.all)
    const other = random.pick(this.#chain.seats.all)
    const connection = RawConnection.wrap(connect(this.#chain.sockets.lease))
    for (let count = 1 + random.below(8); count > 0; count -= 1) {
      report.tried()
      const kind = random.pick(['lease', 'request', 'hello', 'guest', 'stale', '__proto__'])
      const key = {
        scope: random.pick([
          { kind: 'router', routerId: routerId(seat.router) },
          { kind: 'router' },
          5,
          null,
        ]),
        sourceIp: random.pick([seat.addresses[0], other.addresses[0], '', 7]),
        sourceMac: random.pick([seat.macAddress, other.macAddress, '', null]),
      }
      const line = JSON.stringify({ kind, id: random.pick([1, -1, 'x']), key, ...key })
      void connection.write(`${random.chance(20) ? line.slice(0, random.below(60)) : line}\n`)
    }
    await pause(50)
    connection.close()
  }
}

const isGranted = (seat: Seat): boolean => seat.router === granted
const isNobody = (): boolean => false
const isAny = (): boolean => true
