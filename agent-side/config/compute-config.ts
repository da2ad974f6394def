/** What can an operator decide about the compute metadata API and the way to it? */
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { computeAddress } from '../../lib/config/defaults.ts'
import { bytes, duration, flag, integer, leafOption, path } from '../../lib/config/option.ts'
import { secretFile } from '../../lib/config/secret-file.ts'
import { list, optional, section } from '../../lib/config/structure.ts'
import { clientTlsProblem } from '../../lib/files/tls-material.ts'

/** Nova's address alone: a path would be put before the targets of guests. */
const upstreamUrl = leafOption<string>(
  {
    type: 'URL',
    expected: 'an http or https URL without a path, such as http://192.0.2.10:8775',
    parse({ value }) {
      if (typeof value !== 'string' || !URL.canParse(value)) return undefined
      const url = new URL(value)
      const isBare = url.pathname === '/' && url.search === '' && url.hash === ''
      const isPlain = url.username === '' && url.password === ''
      const isHttp = url.protocol === 'http:' || url.protocol === 'https:'
      return isBare && isPlain && isHttp ? url.origin : undefined
    },
    show: (value) => value,
  },
  { help: 'One endpoint of the compute metadata API.' },
)

/** The section `compute`. */
export const compute = section({
  upstreams: list(upstreamUrl, {
    help: 'Endpoints of the compute metadata API (nova_metadata_protocol, _host and _port in one), the preferred one first.',
    default: [`http://${computeAddress}`],
    max: 64,
  }),
  shared_secret: secretFile({
    help: "The key that identities are signed with: Nova's metadata_proxy_shared_secret.",
  }),
  next_shared_secret: secretFile({
    help: 'While the key is being changed: the other one. After a 403 a request is signed with the other key and sent again.',
  }),
  allow_empty_secret: flag({
    help: 'Sign with an empty key. Whoever reaches Nova can then be any instance.',
    default: false,
  }),
  tls: section({
    ca_file: optional(
      path({
        help: "PEM file of the authorities that may vouch for Nova (auth_ca_cert); the system's otherwise.",
      }),
    ),
    certificate_file: optional(path({ help: 'PEM file of our certificate (nova_client_cert).' })),
    key_file: optional(path({ help: 'PEM file of its key (nova_client_priv_key).' })),
    insecure: flag({
      help: "Do not verify Nova's certificate (nova_metadata_insecure).",
      default: false,
    }),
  }),
  timeout_connect: duration({
    help: 'How long connecting may take.',
    default: '3s',
    min: '10ms',
    max: '1m',
  }),
  timeout_restart: duration({
    help: 'How long a GET waits for endpoints that all refuse connections, before the guest gets a 503: older cloud-init sends one request only. Only in the first 15 seconds of an outage. 0s: not at all.',
    default: '3s',
    min: '0s',
    max: '8s',
  }),
  probe_interval: duration({
    help: 'How long an endpoint may be silent before the agent requests / from it, which Nova answers without a signature. Without it, an endpoint that went away is noticed at the next request of a guest. After the start the agent also requests the metadata of an instance that there is none of, to see whether Nova has our secret. 0s: never.',
    default: '60s',
    min: '0s',
    max: '1h',
  }),
  timeout_headers: duration({
    help: 'How long Nova may take to begin its answer. Dynamic vendordata needs time.',
    default: '60s',
    min: '100ms',
    max: '10m',
  }),
  timeout_body: duration({
    help: 'How long Nova may pause in the middle of an answer.',
    default: '30s',
    min: '100ms',
    max: '10m',
  }),
  connections: integer({
    help: 'Connections to each endpoint; more requests wait for one.',
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'connections',
  }),
  concurrency: integer({
    help: 'Requests on their way at most; in between the limit follows how fast compute answers. Never more than connections. Workers with leases share as many again among them.',
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  concurrency_min: integer({
    help: 'Requests on their way that are allowed however slowly compute answers.',
    default: 8,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  concurrency_start: integer({
    help: 'Where the limit begins.',
    default: 32,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  queue: integer({
    help: 'Requests that may wait for their turn; more get a 503 with Retry-After, first those of the project that has most waiting.',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    unit: 'requests',
  }),
  queue_per_project: integer({
    help: 'How many of them of one project.',
    default: 2_048,
    min: 1,
    max: 1_000_000,
    unit: 'requests',
  }),
  timeout_queue: duration({
    help: 'How long a request may wait for its turn. A guest gives up after ten seconds.',
    default: '6s',
    min: '10ms',
    max: '5m',
  }),
  queue_retry_after: duration({
    help: 'Retry-After of those who are sent away: at random from 1 s to this, in whole seconds.',
    default: '5s',
    min: '1s',
    max: '1m',
  }),
  coalesce: duration({
    help: 'How long an answer is reused for the same request of the same instance: user_data, network_data.json, vendor_data.json, vendor_data2.json and the EC2 tree. 0s: never.',
    default: '0s',
    min: '0s',
    max: '1m',
  }),
  coalesce_bytes: bytes({
    help: 'Memory for such answers.',
    default: '16MiB',
    min: '64KiB',
    max: '1GiB',
  }),
})

/** What no single option can know. */
export function computeProblems(config: ValueOf<typeof compute>): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const hasSecret = config.shared_secret !== undefined
  if (!hasSecret && !config.allow_empty_secret) {
    problems.push({
      path: 'compute.shared_secret_file',
      message: 'must be given; without a secret whoever reaches Nova can be any instance',
    })
  }
  if (hasSecret && config.allow_empty_secret) {
    problems.push({
      path: 'compute.allow_empty_secret',
      message: 'is true although there is a secret; remove one of them',
    })
  }
  if (!hasSecret && config.next_shared_secret !== undefined) {
    problems.push({
      path: 'compute.next_shared_secret_file',
      message: 'needs compute.shared_secret_file beside it',
    })
  }
  if ((config.tls.certificate_file === undefined) !== (config.tls.key_file === undefined)) {
    problems.push({
      path: 'compute.tls.certificate_file',
      message: 'and compute.tls.key_file only work together',
    })
  }
  const tlsProblem = clientTlsProblem({
    caFile: config.tls.ca_file,
    certificateFile: config.tls.certificate_file,
    keyFile: config.tls.key_file,
  })
  if (tlsProblem !== undefined) problems.push({ path: 'compute', message: tlsProblem })
  const { concurrency_min: least, concurrency_start: start, concurrency: most } = config
  if (least > most || start < least || start > most) {
    problems.push({
      path: 'compute.concurrency_start',
      message: `${start} must lie between compute.concurrency_min (${least}) and compute.concurrency (${most})`,
    })
  }
  if (config.upstreams.length === 0) {
    problems.push({ path: 'compute.upstreams', message: 'names no endpoint' })
  }
  return problems
}
