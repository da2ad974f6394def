/** Where the proxies of other hosts connect: TCP, always with TLS, always with a certificate that names the proxy. */
import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import {
  createServer as createNetServer,
  type AddressInfo,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import { tcpAddressText, type TcpAddress } from '../../lib/identity/tcp-address.ts'
import { peerAddress, peerPort } from '../../lib/sockets/peer-address.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import {
  isSameTlsMaterial,
  readTlsMaterial,
  secureContextOptions,
  type TlsFiles,
  type TlsMaterial,
} from '../../lib/files/tls-material.ts'
import { WatchedFiles } from '../../lib/files/watched-files.ts'
import {
  AgentServer,
  closed,
  connectionsOf,
  type ListenerLimits,
  type UnreadableObserver,
} from './http-server.ts'
import type { RequestHandler } from '../requests/request-handler.ts'
import { ConnectionRefusals, type ConnectionRefusal } from './connection-refusals.ts'
import type { ProxyGrant, ProxyGrants } from '../peers/proxy-grants.ts'

export interface TlsListenerLimits extends ListenerLimits {
  readonly timeoutHandshake: Milliseconds
  /** After which a connection is ended, so that one whose certificate no longer counts does not stay. */
  readonly maxConnectionAge: Milliseconds
  /** Open at one time, of one name. */
  readonly connectionsPerProxy: Count
}

export interface TlsListenerOptions {
  readonly handler: RequestHandler
  readonly address: TcpAddress
  readonly backlog: Count
  readonly files: TlsFiles
  readonly grants: ProxyGrants
  /** A file of grants, which then replaces them whenever it changes. */
  readonly grantsFile?: { readonly path: string; read(): readonly ProxyGrant[] }
  readonly limits: TlsListenerLimits
  readonly clock: Clock
  readonly logger: Logger
  readonly observer?: UnreadableObserver & { refusedConnection(why: ConnectionRefusal): void }
}

/** Of one address. A host opens this many only when all of its workers start at once. */
const mostHandshakesOfOneAddress: Count = 256

/** Serves proxies over mutual TLS. Who is not on the list is not read from. */
export class TlsListener implements Part {
  readonly name: string
  readonly #options: TlsListenerOptions
  readonly #listener: NetServer
  readonly #server: AgentServer<Server>
  readonly #material: WatchedFiles<TlsMaterial>
  readonly #grants: WatchedFiles<readonly ProxyGrant[]> | undefined
  readonly #refusals: ConnectionRefusals
  readonly #ofProxy = new Map<string, Count>()
  /** By address and TCP port of the other side. */
  readonly #handshakes = new Map<string, Map<string, Socket>>()
  #isStopping = false

  /** @throws Error when the files cannot be used */
  constructor(options: TlsListenerOptions) {
    const { address, clock, logger, observer, grants, grantsFile } = options
    this.#options = options
    this.name = `listener https://${tcpAddressText(address)}`
    this.#refusals = new ConnectionRefusals({ clock, logger, observer })
    this.#material = this.#watchMaterial()
    if (grantsFile) {
      this.#grants = new WatchedFiles({
        what: `proxies of the ${this.name}`,
        files: [grantsFile.path],
        clock,
        logger,
        read: () => grantsFile.read(),
        isSame: (before, now) => JSON.stringify(before) === JSON.stringify(now),
        onChange: (now) => grants.replace(now),
      })
      grants.replace(this.#grants.current)
    }
    this.#server = this.#createServer()
    this.#listener = this.#listen()
  }

  /** `https://192.0.2.1:9699`, with the real port once it listens. */
  get address(): string {
    const { address } = this.#options
    const bound = this.#listener.address() as AddressInfo | null
    return `https://${tcpAddressText({ ...address, ...(bound && { tcpPort: bound.port }) })}`
  }

  connections(): Promise<Count> {
    return connectionsOf(this.#listener)
  }

  /** When the certificate in use ends, and what is wrong with files that are not used. */
  get certificate(): { readonly expiresAt: number; readonly refusal: string | undefined } {
    return {
      expiresAt: this.#material.current.expiresAt,
      refusal: this.#material.refusal ?? this.#grants?.refusal,
    }
  }

  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string } {
    const { expiresAt, refusal } = this.certificate
    const isOver = expiresAt <= this.#options.clock.wallTime()
    const { listening } = this.#listener
    const isListening = listening && !this.#isStopping
    const detail = [
      !listening ? 'not listening' : this.#isStopping ? 'stopping' : 'listening',
      isOver ? 'its certificate is over' : undefined,
      refusal === undefined ? undefined : `changed files are not used: ${refusal}`,
    ]
    return {
      name: this.name,
      ready: isListening && !isOver,
      detail: detail.filter((part) => part !== undefined).join('; '),
    }
  }

  async start(): Promise<void> {
    const { address, backlog } = this.#options
    this.#material.start()
    this.#grants?.start()
    this.#listener.listen({ host: address.address, port: address.tcpPort, backlog })
    await once(this.#listener, 'listening')
  }

  /** Reads certificates and the list of proxies now. Invalid ones are logged and not used. */
  reload(): void {
    this.#material.reload()
    this.#grants?.reload()
  }

  settle(): Promise<void> {
    this.#isStopping = true
    return this.#server.settle()
  }

  /** Stops accepting and lets running requests end. */
  async close(): Promise<void> {
    this.#isStopping = true
    const isClosed = closed(this.#listener)
    for (const running of this.#handshakes.values()) {
      for (const socket of running.values()) socket.destroy()
    }
    await Promise.all([this.#material.close(), this.#grants?.close(), this.#server.drain()])
    await isClosed
  }

  #watchMaterial(): WatchedFiles<TlsMaterial> {
    const { files, clock, logger } = this.#options
    const { certificateFile, keyFile, caFile, crlFile } = files
    return new WatchedFiles({
      what: `certificates of the ${this.name}`,
      files: [certificateFile, keyFile, caFile, ...(crlFile === undefined ? [] : [crlFile])],
      clock,
      logger,
      read: () => readTlsMaterial(files, clock.wallTime()),
      isSame: isSameTlsMaterial,
      // Connections that are open keep what they were made with, until their age ends them.
      onChange: (material) => this.#server.http.setSecureContext(secureContextOptions(material)),
    })
  }

  #createServer(): AgentServer<Server> {
    const { handler, limits, observer } = this.#options
    const server = new AgentServer<Server>({
      handler,
      limits,
      observer,
      create: (options) =>
        createServer({
          ...options,
          ...secureContextOptions(this.#material.current),
          requestCert: true,
          rejectUnauthorized: true,
          handshakeTimeout: limits.timeoutHandshake,
        }),
    })
    server.http.on('tlsClientError', (cause: Error, socket: TLSSocket) => {
      // Set when the handshake was fine and the certificate was not.
      const why = socket.authorizationError as unknown as string | null
      this.#refusals.note(
        why ? 'certificate' : 'handshake',
        peerAddress(socket),
        why ? `The certificate is not accepted: ${why}` : causeText(cause),
      )
    })
    // Before the listener that reads HTTP.
    server.http.prependListener('secureConnection', (socket: TLSSocket) => this.#admit(socket))
    return server
  }

  #listen(): NetServer {
    const { limits } = this.#options
    const listener = createNetServer({ noDelay: true }, (socket) => {
      if (this.#mayShakeHands(socket)) this.#server.http.emit('connection', socket)
    })
    listener.maxConnections = limits.connections
    // The one that was turned away comes again.
    listener.on('drop', () => this.#server.endOneIdle())
    return listener
  }

  /** Strangers who only connect must not take all the places there are. */
  #mayShakeHands(socket: Socket): boolean {
    const from = peerAddress(socket)
    const running = this.#handshakes.get(from) ?? new Map<string, Socket>()
    if (running.size >= mostHandshakesOfOneAddress) {
      this.#refusals.note('too_many', from, 'Too many handshakes run from this address')
      socket.destroy()
      return false
    }
    const port = peerPort(socket)
    this.#handshakes.set(from, running.set(port, socket))
    socket.once('close', () => this.#handshakeEnded(from, port))
    return true
  }

  #handshakeEnded(from: string, port: string): void {
    const running = this.#handshakes.get(from)
    if (running?.delete(port) === true && running.size === 0) this.#handshakes.delete(from)
  }

  #admit(socket: TLSSocket): void {
    const { grants, limits, clock } = this.#options
    this.#handshakeEnded(peerAddress(socket), peerPort(socket))
    const certificate = socket.getPeerX509Certificate()
    if (!socket.authorized || certificate === undefined) {
      this.#refuse(socket, 'certificate', 'There is no verified certificate')
      return
    }
    const recognised = grants.recognise(certificate)
    if (recognised.kind !== 'known') {
      // Node's types do not show that an empty subject is none.
      const { subject, subjectAltName } = certificate as Partial<X509Certificate>
      const shown = `${subject ?? ''} ${subjectAltName ?? ''}`.replaceAll('\n', ', ').slice(0, 500)
      if (recognised.kind === 'unknown') {
        this.#refuse(socket, 'unknown_name', `No proxy of the list has this name: ${shown}`)
      } else {
        const names = recognised.names.join(', ')
        this.#refuse(socket, 'several_names', `It has names of several proxies: ${names}`)
      }
      return
    }
    const { proxy } = recognised
    const open = this.#ofProxy.get(proxy.name) ?? 0
    if (open >= limits.connectionsPerProxy) {
      this.#refuse(socket, 'too_many', `"${proxy.name}" has ${open} connections open`)
      return
    }
    this.#ofProxy.set(proxy.name, open + 1)
    const connection = this.#server.open(socket, { kind: 'overlapd', proxy })
    // Spread, so that a proxy's connections of one moment do not all end in one.
    const age = limits.maxConnectionAge * (0.9 + Math.random() / 10)
    let cancel = clock.schedule(age, () => {
      connection.end()
      // A peer that goes on, or does not read its answer, is not waited for without end.
      cancel = clock.schedule(limits.drain, () => socket.destroy())
    })
    socket.once('close', () => {
      cancel()
      decrease(this.#ofProxy, proxy.name)
    })
  }

  #refuse(socket: TLSSocket, why: ConnectionRefusal, text: string): void {
    this.#refusals.note(why, peerAddress(socket), text)
    socket.destroy()
  }
}

function decrease(counts: Map<string, Count>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
