/** Certificates for tests: made by the openssl command, and changed and signed again where it would not make such ones. */
import { execFileSync } from 'node:child_process'
import { createPrivateKey, sign, X509Certificate } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a certificate is to hold. */
export interface Wanted {
  /** Absent: an empty subject. */
  readonly commonName?: string
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** @default both */
  readonly usage?: 'clientAuth' | 'serverAuth'
  readonly isOver?: boolean
  /** Bytes of the certificate to replace by as many others before it is signed. */
  readonly replace?: readonly (readonly [old: string, now: string])[]
}

/** PEM files of one certificate. */
export interface Issued {
  readonly certificateFile: string
  readonly keyFile: string
}

/** An authority with its files in a folder. */
export class TestAuthority {
  readonly caFile: string
  readonly #keyFile: string
  readonly #folder: string
  readonly #name: string
  #issued = 0

  constructor(folder: string, name = 'ca') {
    this.#folder = folder
    this.#name = name
    this.caFile = join(folder, `${name}.pem`)
    this.#keyFile = join(folder, `${name}.key`)
    // RSA, since its signatures all have one length.
    openssl(
      `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=${name} -keyout ${this.#keyFile} -out ${this.caFile}`,
      '-addext',
      'keyUsage=keyCertSign,cRLSign',
    )
  }

  issue(wanted: Wanted): Issued {
    this.#issued += 1
    const stem = join(this.#folder, `${this.#name}-${this.#issued}`)
    const files = { certificateFile: `${stem}.pem`, keyFile: `${stem}.key` }
    const { commonName, dnsNames = [], ipAddresses = [], usage } = wanted
    const names = [
      ...dnsNames.map((name, index) => `DNS.${index + 1}=${name}`),
      ...ipAddresses.map((address, index) => `IP.${index + 1}=${address}`),
    ]
    writeFileSync(
      `${stem}.cnf`,
      [
        'basicConstraints=critical,CA:FALSE',
        `extendedKeyUsage=${usage ?? 'clientAuth,serverAuth'}`,
        ...(names.length > 0 ? ['subjectAltName=@names', '[names]', ...names] : []),
        '',
      ].join('\n'),
    )
    const subject = commonName === undefined ? '/' : `/CN=${commonName}`
    openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${files.keyFile} -out ${stem}.csr -utf8 -subj`,
      subject,
    )
    openssl(
      `x509 -req -in ${stem}.csr -CA ${this.caFile} -CAkey ${this.#keyFile} -set_serial ${this.#issued} -days 2 -extfile ${stem}.cnf -out ${files.certificateFile}`,
    )
    if (wanted.isOver === true || wanted.replace) this.#change(files.certificateFile, wanted)
    return files
  }

  /** The same certificate for another name of the same length, with the same key: quickly, for a thousand of them. */
  renamed(issued: Issued, old: string, now: string): Issued {
    const certificateFile = join(this.#folder, `${this.#name}-${now}.pem`)
    copyFileSync(issued.certificateFile, certificateFile)
    this.#change(certificateFile, { replace: [[old, now]] })
    return { certificateFile, keyFile: issued.keyFile }
  }

  /** A list that takes certificates back, by the order of their issue from 1. */
  crl(...serials: readonly number[]): string {
    const stem = join(this.#folder, `${this.#name}-crl`)
    const rows = serials.map((serial) => {
      const hex = serial.toString(16).toUpperCase().padStart(2, '0')
      return `R\t491231235959Z\t240101000000Z\t${hex}\tunknown\t/CN=${serial}\n`
    })
    writeFileSync(`${stem}.txt`, rows.join(''))
    writeFileSync(
      `${stem}.cnf`,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${stem}.txt\ndefault_md=sha256\ndefault_crl_days=1\n`,
    )
    openssl(
      `ca -gencrl -config ${stem}.cnf -keyfile ${this.#keyFile} -cert ${this.caFile} -out ${stem}.pem`,
    )
    return `${stem}.pem`
  }

  #change(file: string, { isOver, replace = [] }: Wanted): void {
    const certificate = new X509Certificate(readFileSync(file))
    const der = Buffer.from(certificate.raw)
    const swaps = [...replace]
    if (isOver === true) {
      swaps.push([utcTime(certificate.validFrom), '200101000000Z'])
      swaps.push([utcTime(certificate.validTo), '200102000000Z'])
    }
    for (const [old, now] of swaps) {
      const at = der.indexOf(old, 0, 'latin1')
      if (at < 0 || old.length !== now.length) throw new Error(`Cannot replace "${old}"`)
      der.write(now, at, 'latin1')
    }
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }; RFC 5280 §4.1
    const signed = der.subarray(4, 4 + 4 + der.readUInt16BE(6))
    const signature = sign('sha256', signed, createPrivateKey(readFileSync(this.#keyFile)))
    signature.copy(der, der.length - signature.length)
    const lines = der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')
    writeFileSync(file, `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`)
  }
}

/** Puts files in the place of others as a deployment does: whole, each by a rename. */
export function replaceFile(from: string, to: string): void {
  copyFileSync(from, `${to}.new`)
  renameSync(`${to}.new`, to)
}

/**
 * Why tests with certificates cannot run here; `false` when they can.
 * @throws Error instead, where `OVERLAPD_TEST_REQUIRE_OPENSTACK=1` says that a skip would hide something
 */
export function withoutOpenssl(): string | false {
  if (existsSync('/usr/bin/openssl')) return false
  const reason = 'the openssl command is not installed'
  if (process.env['OVERLAPD_TEST_REQUIRE_OPENSTACK'] === '1') throw new Error(reason)
  return reason
}

function utcTime(text: string): string {
  return `${new Date(text).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`
}

function openssl(words: string, ...more: readonly string[]): void {
  execFileSync('openssl', [...words.split(' '), ...more], { stdio: ['ignore', 'ignore', 'pipe'] })
}
