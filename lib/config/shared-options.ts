/** Which options do both daemons have? One name, one form and one default for each. */
import { parseTcpAddress, tcpAddressText, type TcpAddress } from '../identity/tcp-address.ts'
import type { TlsFiles } from '../files/tls-material.ts'
import { logLevels } from '../runtime/log.ts'
import type { ConfigOf, Entry, Table } from './entry.ts'
import {
  duration,
  fileMode,
  integer,
  leafOption,
  oneOf,
  path,
  type OptionDetails,
} from './option.ts'
import { optional, section } from './structure.ts'

/** An option that is an address with a port. */
export function tcpAddress(
  details: OptionDetails<string> & {
    /** Whether a link-local address may name its interface: `[fe80::1%tap0]:80`. */
    readonly takesInterface?: boolean
    /** 0 stands for a port that is free. */
    readonly min: 0 | 1
  },
): Entry<TcpAddress> {
  const { takesInterface = false, min } = details
  return leafOption(
    {
      type: 'address',
      expected: takesInterface
        ? 'an address with a port such as 169.254.169.254:80, [::]:9697 or [fe80::a9fe:a9fe%tap0]:80'
        : 'an IP address with a port such as 192.0.2.1:9699, 0.0.0.0:9699 or [::]:9699',
      parse({ value }) {
        const read = parseTcpAddress(value)
        const isFit = read && read.tcpPort >= min && (takesInterface || !read.interface)
        return isFit === true ? read : undefined
      },
      show: tcpAddressText,
    },
    details,
  )
}

/** The section `admin`. */
export function adminTable(socket: string) {
  return {
    socket: path({
      help: "The operator's UNIX socket: health, readiness, metrics, status, explain, audit.",
      default: socket,
    }),
    mode: fileMode({
      help: 'Who may open it. It shows ports and projects of every tenant.',
      default: '0600',
    }),
    tcp: optional(
      tcpAddress({
        help: 'Serve the same over TCP as well, for Prometheus. There is no authentication: who reaches it reads it.',
        min: 0,
      }),
    ),
  } as const satisfies Table
}

/** Of the section `limits`. */
export const servingLimits = {
  backlog: integer({
    help: 'Connections that may wait to be accepted on one listener. The kernel holds it below net.core.somaxconn.',
    default: 4096,
    min: 1,
    max: 65_535,
    unit: 'connections',
  }),
  timeout_drain: duration({
    help: 'How long requests that are under way may take when the daemon stops. Others are served meanwhile.',
    default: '10s',
    max: '5m',
  }),
} as const satisfies Table

/** The section `log`. */
export const log = section({
  level: oneOf(logLevels, { help: 'What is logged at least.', default: 'info' }),
})

/** Of a section `tls` with mutual authentication. */
export const mutualTls = {
  ca_file: path({
    help: 'PEM file of the authorities that certify the other side. Those of the system never count; one that certifies no others is best.',
  }),
  certificate_file: path({
    help: 'PEM file of our certificate, those between it and the authority behind it.',
  }),
  key_file: path({ help: 'PEM file of its key.' }),
} as const satisfies Table

/** The files that a section `tls` names. */
export function mutualTlsFiles(
  tls: ConfigOf<typeof mutualTls> & { readonly crl_file?: string | undefined },
): TlsFiles {
  const { ca_file: caFile, certificate_file: certificateFile, key_file: keyFile } = tls
  return { caFile, certificateFile, keyFile, crlFile: tls.crl_file }
}
