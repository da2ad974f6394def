/** Where the proxies of other hosts connect: TCP, always with TLS, always with a certificate that says which proxy it is. */
import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Cancel, Clock, Count, Milliseconds } from '../lib/clock.ts'
import { causeText } from '../lib/errors.ts'
import { closeServer } from '../lib/http/serve.ts'
import type { Part } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/log.ts'
import {
  isSameTlsMaterial,
  readTlsMaterial,
  secureContextOptions,
  type TlsFiles,
  type TlsMaterial,
} from '../lib/tls-material.ts'
import { WatchedFiles } from '../lib/watched-files.ts'
import {
  agentServerOptions,
  connectionsOf,
  refuseUnreadable,
  type ListenerLimits,
  type UnreadableObserver,
} from './agent-server.ts'
import type { App } from './app.ts'
import { ConnectionRefusals, type ConnectionRefusal } from './connection-refusals.ts'
import type { Peer } from './lookup-key.ts'
import type { KnownProxy, ProxyGrant, ProxyGrants } from './proxy-grants.ts'

export interface TlsListenerLimits extends ListenerLimits {
  readonly timeoutHandshake: Milliseconds
  /** After which a connection is ended, so that one whose certificate no longer counts does not stay. */
  readonly maxConnectionAge: Milliseconds
  /** Open at one time, of one name. */
  readonly connectionsPerProxy: Count
}

export interface TlsListenerOptions {
  readonly app: App
  readonly address: { readonly host: string; readonly tcpPort: number }
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

interface Connection {
  readonly peer: Peer
  readonly proxy: KnownProxy
  readonly running: Set<ServerResponse>
  isOld: boolean
  cancelAge: Cancel
}

/** Serves proxies over mutual TLS. Who is not on the list is not read from. */
export class TlsListener implements Part {
  readonly name: string
  readonly #options: TlsListenerOptions
  readonly #server: Server
  readonly #material: WatchedFiles<TlsMaterial>
  readonly #grants: WatchedFiles<readonly ProxyGrant[]> | undefined
  readonly #refusals: ConnectionRefusals
  readonly #connections = new Map<Socket, Connection>()
  readonly #ofProxy = new Map<string, Count>()
  /** TCP ports of the other side by its address. */
  readonly #handshakes = new Map<string, Set<number | undefined>>()
  #isDraining = false

  /** @throws Error when the files cannot be used */
  constructor(options: TlsListenerOptions) {
    const { address, clock, logger, observer, grants, grantsFile } = options
    this.#options = options
    this.name = `listener https://${hostText(address.host)}:${address.tcpPort}`
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
  }

  /** `https://192.0.2.1:9699`, with the real port once it listens. */
  get address(): string {
    const { host, tcpPort } = this.#options.address
    const bound = this.#server.address() as AddressInfo | null
    return `https://${hostText(host)}:${bound?.port ?? tcpPort}`
  }

  connections(): Promise<Count> {
    return connectionsOf(this.#server)
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
    const isListening = this.#server.listening && !this.#isDraining
    const detail = [
      isListening ? 'listening' : 'not listening',
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
    this.#server.listen({ host: address.host, port: address.tcpPort, backlog })
    await once(this.#server, 'listening')
  }

  /** Looks at certificates and the list of proxies now. What cannot be used is told and not used. */
  reload(): void {
    this.#material.reload()
    this.#grants?.reload()
  }

  /** Stops accepting and lets running requests end. */
  async close(): Promise<void> {
    this.#isDraining = true
    for (const { running } of this.#connections.values()) {
      for (const response of running) response.shouldKeepAlive = false
    }
    await Promise.all([this.#material.close(), this.#grants?.close()])
    await closeServer(this.#server, this.#options.limits.drain)
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
      onChange: (material) => this.#server.setSecureContext(secureContextOptions(material)),
    })
  }

  #createServer(): Server {
    const { limits, observer } = this.#options
    const server = createServer(
      {
        ...agentServerOptions(limits),
        ...secureContextOptions(this.#material.current),
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: limits.timeoutHandshake,
      },
      (request, response) => this.#serve(request, response),
    )
    refuseUnreadable(server, limits, observer)
    this.#boundHandshakes(server)
    server.on('tlsClientError', (cause: Error, socket: TLSSocket) => {
      // Set when the handshake was fine and the certificate was not.
      const why = socket.authorizationError as unknown as string | null
      this.#refusals.note(
        why ? 'certificate' : 'handshake',
        socket,
        why ? `The certificate is not accepted: ${why}` : causeText(cause),
      )
    })
    // Before the listener that reads HTTP.
    server.prependListener('secureConnection', (socket: TLSSocket) => this.#admit(socket))
    return server
  }

  /** Strangers who only connect must not take all the places there are. */
  #boundHandshakes(server: Server): void {
    const accept = server.listeners('connection') as ((socket: Socket) => void)[]
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const from = socket.remoteAddress ?? ''
      const running = this.#handshakes.get(from) ?? new Set()
      if (running.size >= mostHandshakesOfOneAddress) {
        this.#refusals.note('too_many', socket, 'Too many handshakes run from this address')
        socket.destroy()
        return
      }
      const { remotePort } = socket
      this.#handshakes.set(from, running.add(remotePort))
      socket.once('close', () => this.#handshakeEnded(from, remotePort))
      for (const listener of accept) listener.call(server, socket)
    })
  }

  #handshakeEnded(from: string | undefined, remotePort: number | undefined): void {
    const running = this.#handshakes.get(from ?? '')
    if (running?.delete(remotePort) === true && running.size === 0) {
      this.#handshakes.delete(from ?? '')
    }
  }

  #admit(socket: TLSSocket): void {
    const { grants, limits, clock } = this.#options
    this.#handshakeEnded(socket.remoteAddress, socket.remotePort)
    const certificate = socket.getPeerX509Certificate()
    if (!socket.authorized || certificate === undefined) {
      this.#refuse(socket, 'certificate', 'There is no verified certificate')
      return
    }
    const recognised = grants.recognise(certificate)
    if (recognised.kind !== 'known') {
      // Node's types do not say that an empty subject is none.
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
    // Spread, so that a proxy's connections of one moment do not all end in one.
    const age = limits.maxConnectionAge * (0.9 + Math.random() / 10)
    const connection: Connection = {
      proxy,
      peer: { kind: 'overlapd', proxy },
      running: new Set(),
      isOld: false,
      cancelAge: clock.schedule(age, () => this.#grewOld(socket, connection)),
    }
    this.#connections.set(socket, connection)
    socket.once('close', () => {
      connection.cancelAge()
      this.#connections.delete(socket)
      decrease(this.#ofProxy, proxy.name)
    })
  }

  #refuse(socket: TLSSocket, why: ConnectionRefusal, text: string): void {
    this.#refusals.note(why, socket, text)
    socket.destroy()
  }

  #grewOld(socket: Socket, connection: Connection): void {
    connection.isOld = true
    // Said in the answer when its head is still to come, so that the proxy sends nothing after it.
    for (const response of connection.running) response.shouldKeepAlive = false
    if (connection.running.size === 0) socket.end()
    // A peer that goes on, or does not read its answer, is not waited for without end.
    connection.cancelAge = this.#options.clock.schedule(this.#options.limits.drain, () =>
      socket.destroy(),
    )
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.#connections.get(socket)
    if (connection === undefined) {
      socket.destroy()
      return
    }
    connection.running.add(response)
    response.once('close', () => {
      connection.running.delete(response)
      if (connection.isOld && connection.running.size === 0) socket.end()
    })
    if (this.#isDraining || connection.isOld) response.shouldKeepAlive = false
    void this.#options.app.handle(connection.peer, request, response)
  }
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function decrease(counts: Map<string, Count>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
