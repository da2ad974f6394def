/** Which certificate, key and authorities does a TLS endpoint of ours use? They come from files and are checked whole. */
import { constants as cryptoConstants, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Bytes, EpochMilliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { Secret } from '../runtime/secret.ts'
import { systemAuthorities } from './system-authorities.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  /** Our certificate, and after it those between it and the authority. */
  readonly certificateFile: string
  readonly keyFile: string
  /** The authorities whose word counts about the other side. Those of the system never do. */
  readonly caFile: string
  /** Certificate revocation lists. */
  readonly crlFile?: string | undefined
}

/** What the files held, checked. Only the key is a secret. */
export interface TlsMaterial {
  readonly certificate: string
  readonly key: Secret
  readonly ca: string
  readonly crl?: string
  /** When our certificate ends. */
  readonly expiresAt: EpochMilliseconds
}

/** Bundles of authorities are long; whoever names a log file by mistake should get an error. */
const longestFile: Bytes = 1024 * 1024

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function readText(file: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw new Error(`Cannot read "${file}": ${causeText(cause)}`, { cause })
  }
  if (bytes.length > longestFile) throw new Error(`"${file}" is longer than ${longestFile} bytes`)
  return bytes.toString('utf8')
}

/** Node takes a text without any certificate for an empty list, and an empty list for the authorities of the system. */
function certificatesIn(text: string, file: string): readonly X509Certificate[] {
  const blocks = text.match(certificatePattern) ?? []
  if (blocks.length === 0) throw new Error(`"${file}" holds no PEM certificate`)
  return blocks.map((block) => {
    try {
      return new X509Certificate(block)
    } catch (cause) {
      throw new Error(`"${file}" holds a broken certificate: ${causeText(cause)}`, { cause })
    }
  })
}

/**
 * Reads the files and checks that they can be used together: authorities are there, the key is that of the certificate, and the
 * certificate is not over.
 * @throws Error that names the file; never a part of a key
 */
export function readTlsMaterial(files: TlsFiles, wallTime: EpochMilliseconds): TlsMaterial {
  const certificate = readText(files.certificateFile)
  const key = new Secret(readText(files.keyFile))
  const ca = readText(files.caFile)
  const crl = files.crlFile === undefined ? undefined : readText(files.crlFile)
  certificatesIn(ca, files.caFile)
  const [own] = certificatesIn(certificate, files.certificateFile)
  if (own === undefined) throw new Error(`"${files.certificateFile}" holds no PEM certificate`)
  const expiresAt = Date.parse(own.validTo)
  if (!(expiresAt > wallTime)) {
    throw new Error(`The certificate in "${files.certificateFile}" ended on ${own.validTo}`)
  }
  const material = { certificate, key, ca, expiresAt, ...(crl !== undefined && { crl }) }
  checkTogether(files, secureContextOptions(material))
  return material
}

function checkTogether(
  { certificateFile, keyFile }: Pick<TlsFiles, 'certificateFile' | 'keyFile'>,
  options: SecureContextOptions,
): void {
  try {
    createSecureContext(options)
  } catch (cause) {
    throw new Error(
      `"${certificateFile}" and "${keyFile}" cannot be used together: ${causeText(cause)}`,
      { cause },
    )
  }
}

/**
 * What is wrong with the files, for a check of the configuration. Not being allowed to read them is nothing wrong: an operator who checks
 * how a daemon is need not be able to read its key.
 */
export function tlsFilesProblem(files: TlsFiles, wallTime: EpochMilliseconds): string | undefined {
  return problemOf(() => readTlsMaterial(files, wallTime))
}

function problemOf(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (thrown) {
    if (!(thrown instanceof Error)) return causeText(thrown)
    const { code } = (thrown.cause ?? {}) as NodeJS.ErrnoException
    return code === 'EACCES' ? undefined : thrown.message
  }
}

/** Paths of PEM files for connections to a server; each may be absent. */
export interface ClientTlsFiles {
  /** The authorities whose word counts about the server; those of the system otherwise. */
  readonly caFile?: string | undefined
  /** Our certificate and its key, both or neither. */
  readonly certificateFile?: string | undefined
  readonly keyFile?: string | undefined
}

/** What the files held, checked. */
export interface ClientTlsMaterial {
  readonly ca?: string
  readonly certificate?: string
  readonly key?: Secret
}

/**
 * The authorities of a file. Without this, a file that holds none would mean those of the system.
 * @throws Error that names the file
 */
export function readAuthorities(file: string): string {
  const text = readText(file)
  certificatesIn(text, file)
  return text
}

/**
 * Reads the files of a client and checks that they can be used.
 * @throws Error that names the file; never a part of a key
 */
export function readClientTls(files: ClientTlsFiles): ClientTlsMaterial {
  const { caFile, certificateFile, keyFile } = files
  const ca = caFile === undefined ? {} : { ca: readAuthorities(caFile) }
  if (certificateFile === undefined || keyFile === undefined) return ca
  const certificate = readText(certificateFile)
  certificatesIn(certificate, certificateFile)
  const key = new Secret(readText(keyFile))
  checkTogether({ certificateFile, keyFile }, { cert: certificate, key: key.reveal() })
  return { ...ca, certificate, key }
}

/**
 * What connections to a server are secured with: the authorities of the file, or those of the system. Made once and shared by all
 * connections, because reading a system's bundle takes longer than a request.
 * @throws Error that names the file; never a part of a key
 */
export function clientSecureContext(files: ClientTlsFiles): SecureContext {
  const { ca = systemAuthorities(), certificate, key } = readClientTls(files)
  return createSecureContext({
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key: key.reveal() }),
  })
}

/** What is wrong with the files, as {@link tlsFilesProblem} describes it. */
export function clientTlsProblem(files: ClientTlsFiles): string | undefined {
  return problemOf(() => readClientTls(files))
}

/**
 * What every TLS connection of ours has: TLS 1.2 or newer, these authorities alone, no resumption. A resumed session would carry a
 * certificate that was not looked at again, past its end and past a change of the authorities.
 */
export function secureContextOptions(
  material: Pick<TlsMaterial, 'certificate' | 'key' | 'ca' | 'crl'>,
): SecureContextOptions {
  const { certificate, key, ca, crl } = material
  if (ca === '') throw new TypeError('An empty list of authorities would mean those of the system')
  return {
    cert: certificate,
    key: key.reveal(),
    ca,
    ...(crl !== undefined && { crl }),
    minVersion: 'TLSv1.2',
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET | cryptoConstants.SSL_OP_NO_RENEGOTIATION,
  }
}

/** True when nothing has changed that a connection would notice. */
export function isSameTlsMaterial(before: TlsMaterial, now: TlsMaterial): boolean {
  return (
    before.certificate === now.certificate &&
    before.key.reveal() === now.key.reveal() &&
    before.ca === now.ca &&
    before.crl === now.crl
  )
}
