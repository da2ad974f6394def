import { isIP, type TcpNetConnectOpts } from 'node:net'
import { connect as connectTls, createSecureContext, type ConnectionOptions } from 'node:tls'
import { hostText } from '../../../lib/identity/tcp-address.ts'
import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import { Secret } from '../../../lib/runtime/secret.ts'
import type { Connect } from '../../../lib/fast-http/request-pool.ts'
import { secureContextOptions } from '../../../lib/files/tls-material.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import { unixConnector } from '../raw/connect.ts'
import type { RawLoop } from '../raw/raw-loop.ts'
import type { AgentAddress } from '../shared/protocol.ts'

type UnixAgent = Extract<AgentAddress, { kind: 'unix' }>
type TlsAgent = Exclude<AgentAddress, UnixAgent>

type ConnectFailure = NodeJS.ErrnoException

/** Opens one connection, and calls back once. */
export type AgentConnector = Connect

/** Not there yet, not listening yet, or its queue of connections full: what a restart or a boot storm looks like. */
const passing: ReadonlySet<string | undefined> = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EAGAIN',
  // In the middle of a handshake.
  'ECONNRESET',
])

const firstWait: Milliseconds = 5
const longestWait: Milliseconds = 100

export interface ConnectorOptions {
  readonly address: AgentAddress
  /** After which an agent that is not there is given up. */
  readonly limit: Milliseconds
  /** False where another agent can be tried instead of trying again. */
  readonly triesAgain: boolean
  readonly clock: Clock
  readonly loop: RawLoop
}

/** What an address is called in logs and on the status page; nothing in it is secret. */
export function agentName(address: AgentAddress): string {
  if (address.kind === 'unix') return address.socket
  const { host, tcpPort } = address
  return `https://${hostText(host)}:${tcpPort}`
}

/**
 * Makes the function that opens connections to an agent. It tries again, with growing waits and jitter, until the limit:
 * a request that waits a moment for a restarting agent beats a guest that gives up its boot.
 * The callback gets `MetadataError` `agent_unreachable` when the limit has passed, at once for anything but an absent agent.
 * @throws Error when certificate, key and authorities cannot be used
 */
export function agentConnector(options: ConnectorOptions): AgentConnector {
  const { address, clock, loop, limit, triesAgain } = options
  const open = address.kind === 'unix' ? unixOpener(loop, address) : tlsOpener(clock, address)
  return (connected) => {
    const deadline = clock.now() + limit
    const backoff = new Backoff(firstWait, longestWait)
    attempt()

    function attempt(): void {
      open(Math.max(1, deadline - clock.now()), (cause, socket) => {
        if (cause === null) connected(null, socket)
        else failed(cause)
      })

      function failed(cause: ConnectFailure): void {
        const pause = backoff.next()
        const isOver = !triesAgain || clock.now() + pause >= deadline
        if (isOver || !passing.has(cause.code)) connected(unreachable(cause), null)
        else clock.schedule(pause, attempt)
      }
    }
  }

  function unreachable(cause: Error): MetadataError {
    return new MetadataError('agent_unreachable', `Cannot connect to "${agentName(address)}"`, {
      cause,
    })
  }
}

/** Connects once within a span, and calls back once. */
type Open = (within: Milliseconds, connected: Parameters<Connect>[0]) => void

/** The kernel decides at once. */
function unixOpener(loop: RawLoop, { socket }: UnixAgent): Open {
  const connect = unixConnector(loop, socket)
  return (_within, connected) => connect(connected)
}

function tlsOpener(clock: Clock, address: TlsAgent): Open {
  const { host, tcpPort: port, serverName, tls } = address
  const { certificate, key, ca } = tls
  const secureContext = createSecureContext(
    secureContextOptions({ certificate, key: new Secret(key), ca }),
  )
  // RFC 6066 §3: an address is no server name. Without one, the certificate must be for the host of the address.
  const servername = serverName ?? (isIP(host) === 0 ? host : undefined)
  // Node's types do not show that the options of net.connect() count as well.
  const options: ConnectionOptions & TcpNetConnectOpts = {
    host,
    port,
    secureContext,
    rejectUnauthorized: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 5_000,
    ...(servername !== undefined && { servername }),
  }
  return (within, connected) => {
    const socket = connectTls(options)
    const giveUp = clock.schedule(within, () => {
      socket.destroy(new Error('no connection in time'))
    })
    const failed = (cause: ConnectFailure): void => {
      giveUp()
      // What comes after the first error of a broken handshake is nothing new.
      socket.on('error', () => undefined)
      connected(cause, null)
    }
    socket.once('secureConnect', () => {
      giveUp()
      socket.removeListener('error', failed)
      connected(null, socket)
    })
    socket.once('error', failed)
  }
}
