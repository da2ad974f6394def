/** Which agents do workers get, with which certificate? Its files are read here, so that workers need not be able to. */
import type { Clock, EpochMilliseconds } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import {
  isSameTlsMaterial,
  readTlsMaterial,
  type TlsMaterial,
} from '../../lib/files/tls-material.ts'
import { WatchedFiles } from '../../lib/files/watched-files.ts'
import { mutualTlsFiles } from '../../lib/config/shared-options.ts'
import type { AgentPlacesConfig } from '../config/agent-places.ts'
import type { AgentAddress } from '../worker/shared/protocol.ts'

export interface AgentAddressesOptions {
  readonly config: AgentPlacesConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Called with the addresses and a new certificate. */
  readonly onChange: (addresses: readonly AgentAddress[]) => void
}

/** The agents of the configuration with what TLS needs, read again when files change. */
export class AgentAddresses {
  readonly #options: AgentAddressesOptions
  readonly #material: WatchedFiles<TlsMaterial> | undefined

  /** @throws Error when there are certificates and they cannot be used */
  constructor(options: AgentAddressesOptions) {
    const { config, clock, logger, onChange } = options
    this.#options = options
    const { tls } = config.agent
    if (tls === undefined) return
    const files = mutualTlsFiles(tls)
    this.#material = new WatchedFiles({
      what: 'certificate for agents',
      files: [files.certificateFile, files.keyFile, files.caFile],
      clock,
      logger,
      read: () => readTlsMaterial(files, clock.wallTime()),
      isSame: isSameTlsMaterial,
      onChange: (material) => onChange(this.#with(material)),
    })
  }

  /** What workers get now. Holds the private key: not for logs. */
  get addresses(): readonly AgentAddress[] {
    return this.#with(this.#material?.current)
  }

  /** When our certificate ends, and why changed files are not used; `undefined` without certificates. */
  get certificate():
    { readonly expiresAt: EpochMilliseconds; readonly refusal: string | undefined } | undefined {
    const material = this.#material
    return material && { expiresAt: material.current.expiresAt, refusal: material.refusal }
  }

  start(): void {
    this.#material?.start()
  }

  /** Reads the files again, as after SIGHUP. */
  reload(): void {
    this.#material?.reload()
  }

  async close(): Promise<void> {
    await this.#material?.close()
  }

  #with(material: TlsMaterial | undefined): readonly AgentAddress[] {
    const { config } = this.#options
    const serverName = config.agent.tls?.server_name
    return config.agents.map((place) => {
      if (place.kind === 'unix') return place
      // The check of the configuration refuses it; nothing here may depend on that having run.
      if (material === undefined) throw new TypeError('An agent of another host without TLS')
      const { certificate, key, ca } = material
      return {
        ...place,
        ...(serverName !== undefined && { serverName }),
        tls: { certificate, key: key.reveal(), ca },
      }
    })
  }
}
