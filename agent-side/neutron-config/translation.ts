import { pathText, type Origin } from '../../lib/config/entry.ts'
import {
  OsloValueError,
  type OsloConfig,
  type OsloReading,
  type UnknownSetting,
} from '../../lib/oslo/oslo-config.ts'
import type { OsloValue } from '../../lib/oslo/oslo-option.ts'
import { neutronOptions, type NeutronOption } from './neutron-options.ts'

/** A value of our own configuration and the place it came from. */
export interface NativeSetting {
  /** `compute.tls.insecure`, `listeners[0].socket`. */
  readonly path: readonly (string | number)[]
  /** A `Secret` for what must not be shown. */
  readonly value: unknown
  readonly origin: Origin
}

/** What became of one option that was set in the files. */
export interface ReportRow {
  readonly group: string
  readonly name: string
  readonly from: string
  readonly fate:
    | { readonly kind: 'honoured'; readonly as: string }
    | { readonly kind: 'not-applicable'; readonly why: string }
    /** Nothing that a metadata agent reads: another program's, or a mistake. */
    | { readonly kind: 'unread'; readonly near?: string }
}

/** Collects settings, and remembers which option each came from. */
export class Translation {
  readonly settings: NativeSetting[] = []
  readonly #config: OsloConfig
  readonly #used = new Map<NeutronOption, string>()
  readonly #left = new Map<NeutronOption, string>()

  constructor(config: OsloConfig) {
    this.#config = config
  }

  /** @throws OsloValueError */
  reading(option: NeutronOption): OsloReading {
    return this.#config.read(neutronOptions[option])
  }

  value(option: NeutronOption): OsloValue {
    return this.reading(option).value
  }

  /** The value as text; `undefined` when it is empty. */
  text(option: NeutronOption): string | undefined {
    const value = this.value(option)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  isSet(option: NeutronOption): boolean {
    return this.reading(option).origin !== undefined
  }

  /** Where `option` went, for those that are used up by others. */
  note(option: NeutronOption, as: string): void {
    this.#used.set(option, as)
  }

  /** Leaves `option` out although it is set, and gives the reason. */
  leave(option: NeutronOption, why: string): void {
    this.#left.set(option, why)
  }

  /** Makes the error that blames `option`, where it is written. */
  problem(option: NeutronOption, problem: string): OsloValueError {
    return new OsloValueError(neutronOptions[option], problem, this.reading(option).origin)
  }

  /** Where any option of this name is written that the translation does not know. */
  writtenUnknown(name: string): UnknownSetting | undefined {
    return this.#config.unknown().find((one) => one.name === name)
  }

  /** Sets a native option; an `undefined` value leaves it at its default. */
  set(path: NativeSetting['path'], value: unknown, ...from: readonly NeutronOption[]): void {
    const shown = pathText(path)
    for (const option of from) this.#used.set(option, shown)
    if (value === undefined) return
    const origins = from.map((option) => this.reading(option).origin)
    const origin = origins.find((one) => one !== undefined)
    this.settings.push({
      path,
      value,
      origin: origin === undefined ? { kind: 'default' } : { kind: 'file', ...origin },
    })
  }

  usedAs(option: NeutronOption): string | undefined {
    return this.#used.get(option)
  }

  leftBecause(option: NeutronOption): string | undefined {
    return this.#left.get(option)
  }
}
