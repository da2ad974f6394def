/** Is this server to be used? It is connected to and queried, and nothing is copied from it yet. */
import type { Duplex } from 'node:stream'
import type { Clock, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import type { OvsdbClientOptions } from './client-options.ts'
import { connectOvsdbEndpoint, type OvsdbEndpoint } from './endpoint.ts'
import { OvsdbError } from './ovsdb-error.ts'
import type { ClusterPosition } from './server-status.ts'
import { ServerWatch } from './server-watch.ts'
import { OvsdbSession } from './session.ts'

/** Callbacks for the session. */
export interface CandidateListener {
  /** The furthest state of the cluster that was seen anywhere. */
  seen(): ClusterPosition | undefined
  notify(candidate: Candidate, method: string, params: unknown): void
  /** The server answered an echo that was requested then. */
  echoed(candidate: Candidate, requestedAt: MonotonicMilliseconds): void
}

/** A server that serves the database as it should, and a session with it. */
export interface Candidate {
  readonly endpoint: OvsdbEndpoint
  readonly session: OvsdbSession
  readonly watch: ServerWatch
  /** Called when no byte came for two probe intervals, and when one came again. */
  onSilence: (isSilent: boolean) => void
}

/**
 * Connects to a server and queries its role for the database.
 * @param patience how long each of its first answers may take
 * @throws OvsdbError when it cannot be reached or is not to be used; also when the signal ends the attempt
 */
export async function queryServer(
  endpoint: OvsdbEndpoint,
  options: OvsdbClientOptions,
  patience: Milliseconds,
  listener: CandidateListener,
  signal: AbortSignal,
): Promise<Candidate> {
  const { clock, limits, database, leaderOnly } = options
  const socket = await connectInTime(endpoint, options, signal)
  const watch = new ServerWatch({ database, leaderOnly, answerLimit: patience }, () =>
    listener.seen(),
  )
  const session = new OvsdbSession(socket, {
    clock,
    messageBytes: limits.messageBytes,
    probeInterval: limits.probeInterval,
    probeTimeout: limits.probeTimeout,
    messageTimeout: Math.max(limits.copy, limits.probeTimeout),
    onNotification: (method, params) => listener.notify(candidate, method, params),
    onEcho: (requestedAt) => listener.echoed(candidate, requestedAt),
    onSilence: (isSilent) => candidate.onSilence(isSilent),
  })
  const candidate: Candidate = { endpoint, session, watch, onSilence: () => undefined }
  const giveUp = (): void => session.fail(new OvsdbError('closed', 'The attempt was given up'))
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await watch.begin(session)
    return candidate
  } catch (thrown) {
    session.fail(
      thrown instanceof OvsdbError
        ? thrown
        : new OvsdbError('protocol', causeText(thrown), { cause: thrown }),
    )
    throw thrown
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

async function connectInTime(
  endpoint: OvsdbEndpoint,
  { clock, limits, tls, connect }: OvsdbClientOptions,
  signal: AbortSignal,
): Promise<Duplex> {
  const late = new AbortController()
  const cancel = scheduleLate(clock, limits.connect, late)
  try {
    const either = AbortSignal.any([signal, late.signal])
    if (connect !== undefined) return await connect(endpoint, either)
    return await connectOvsdbEndpoint(endpoint, tls, either)
  } finally {
    cancel()
  }
}

function scheduleLate(clock: Clock, span: Milliseconds, late: AbortController): () => void {
  return clock.schedule(span, () => {
    late.abort(new OvsdbError('timeout', 'the connection was not made in time'))
  })
}
