/** How does the way to the compute metadata API come together? */
import { AdaptiveLimit } from '../../lib/admission/adaptive-limit.ts'
import {
  FairGate,
  type FairGateObserver,
  type FairGateOptions,
} from '../../lib/admission/fair-gate.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { describeDefect } from '../../lib/runtime/defects.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { CoalescingCompute } from './coalescing.ts'
import { ComputeClient, type ComputeObserver, type Forwarder } from './compute-client.ts'
import { ComputeProbe } from './compute-probe.ts'
import { SecretAcceptance } from './secret-acceptance.ts'
import { RequestSigner } from './signed-headers.ts'
import { Upstreams } from './upstreams.ts'

/** What forwards requests to the compute metadata API, and what decides how many at once. */
export interface ComputeParts {
  readonly upstreams: Upstreams
  readonly signer: RequestSigner
  readonly secrets: SecretAcceptance
  readonly compute: Forwarder
  readonly limit: AdaptiveLimit
  readonly gate: FairGate
  /** For whoever else has a line of requests that wait for compute. */
  readonly waiting: FairGateOptions
  /** Not started yet. */
  readonly probe: ComputeProbe
}

/** Slots that booting instances get for each one of the others, while both wait. */
const bootPreference: Count = 12

/** Makes the way to compute. Nothing is connected yet. */
export function composeCompute(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  observer: ComputeObserver & { countDefect(): void },
  limitObserver: FairGateObserver & { shared(): void },
): ComputeParts {
  const { compute: options } = config
  const upstreams = new Upstreams({
    urls: options.upstreams,
    tls: {
      caFile: options.tls.ca_file,
      certFile: options.tls.certificate_file,
      keyFile: options.tls.key_file,
      insecure: options.tls.insecure,
    },
    connections: options.connections,
    timeoutConnect: options.timeout_connect,
    timeoutHeaders: options.timeout_headers,
    timeoutBody: options.timeout_body,
    clock,
    logger,
    defect: (cause) => {
      observer.countDefect()
      logger.error(describeDefect(cause), 'An exception ended a connection to compute')
    },
  })
  const signer = new RequestSigner({
    current: options.shared_secret ?? new Secret(''),
    next: options.next_shared_secret,
  })
  const limit = new AdaptiveLimit({ clock, ...concurrencyOf(options) })
  const waiting: FairGateOptions = {
    clock,
    limit,
    max: options.queue,
    maxPerProject: options.queue_per_project,
    preference: bootPreference,
    longestWait: options.timeout_queue,
    longestRetryAfter: Math.floor(options.queue_retry_after / 1_000),
    random: Math.random,
    observer: limitObserver,
  }
  const gate = new FairGate(waiting)
  const secrets = new SecretAcceptance({ signer, clock, logger })
  const client = new ComputeClient({
    upstreams,
    signer,
    secrets,
    clock,
    limit,
    gate,
    timeoutRestart: options.timeout_restart,
    observer,
  })
  const { coalesce: ttl, coalesce_bytes: maxBytes } = options
  const compute =
    ttl === 0
      ? client
      : new CoalescingCompute({ compute: client, clock, ttl, maxBytes, observer: limitObserver })
  const longestSilence = options.probe_interval
  const probe = new ComputeProbe({ upstreams, signer, secrets, clock, longestSilence })
  return { upstreams, signer, secrets, compute, limit, gate, waiting, probe }
}

/** Never more than there are connections: beyond that requests would wait in one line, whoever they are from. */
export function concurrencyOf(options: AgentConfig['compute']): {
  readonly min: Count
  readonly start: Count
  readonly max: Count
} {
  const max = Math.min(options.concurrency, options.connections)
  return {
    min: Math.min(options.concurrency_min, max),
    start: Math.min(options.concurrency_start, max),
    max,
  }
}
