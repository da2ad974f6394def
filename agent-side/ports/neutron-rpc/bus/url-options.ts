import type { NeutronRpcConfig } from '../config.ts'

const trueWords: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on'])

/** A blank value is no value: `…?ssl=1&ssl_ca_file=` as templates of deployments leave it. */
function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value
}

/** What the query of the transport URL changes, as it does for oslo.messaging. Other options do not concern us. */
export function withUrlOptions(
  config: NeutronRpcConfig,
  options: ReadonlyMap<string, string>,
): NeutronRpcConfig {
  const text = (name: string): string | undefined => given(options.get(name))
  const ssl = text('ssl') ?? text('rabbit_use_ssl')
  const isTls = ssl === undefined ? config.tls !== undefined : trueWords.has(ssl.toLowerCase())
  const caFile = text('ssl_ca_file') ?? config.tls?.caFile
  const certFile = text('ssl_cert_file') ?? config.tls?.certFile
  const keyFile = text('ssl_key_file') ?? config.tls?.keyFile
  const heartbeat = Number(text('heartbeat_timeout_threshold') ?? config.heartbeat)
  const verify = text('ssl_enforce_hostname_verification')
  const { tls, ...rest } = config
  return {
    ...rest,
    heartbeat: Number.isSafeInteger(heartbeat) && heartbeat >= 0 ? heartbeat : config.heartbeat,
    ...(isTls && {
      tls: {
        verifyHostname:
          verify === undefined
            ? (tls?.verifyHostname ?? true)
            : trueWords.has(verify.toLowerCase()),
        insecure: tls?.insecure ?? false,
        ...(caFile !== undefined && { caFile }),
        ...(certFile !== undefined && { certFile }),
        ...(keyFile !== undefined && { keyFile }),
      },
    }),
  }
}
