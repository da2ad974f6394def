import type { NeutronRpcConfig } from './config.ts'

const trueWords: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on'])

/** What the query of the transport URL changes, as it does for oslo.messaging. Other options do not concern us. */
export function withUrlOptions(
  config: NeutronRpcConfig,
  options: ReadonlyMap<string, string>,
): NeutronRpcConfig {
  const ssl = options.get('ssl') ?? options.get('rabbit_use_ssl')
  const isTls = ssl === undefined ? config.tls !== undefined : trueWords.has(ssl.toLowerCase())
  const caFile = options.get('ssl_ca_file') ?? config.tls?.caFile
  const certFile = options.get('ssl_cert_file') ?? config.tls?.certFile
  const keyFile = options.get('ssl_key_file') ?? config.tls?.keyFile
  const heartbeat = Number(options.get('heartbeat_timeout_threshold') ?? config.heartbeat)
  const { tls, ...rest } = config
  return {
    ...rest,
    heartbeat: Number.isSafeInteger(heartbeat) && heartbeat >= 0 ? heartbeat : config.heartbeat,
    ...(isTls && {
      tls: {
        verifyHostname: tls?.verifyHostname ?? true,
        insecure: tls?.insecure ?? false,
        ...(caFile !== undefined && { caFile }),
        ...(certFile !== undefined && { certFile }),
        ...(keyFile !== undefined && { keyFile }),
      },
    }),
  }
}
