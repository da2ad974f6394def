import { isMapping } from '../config/entry.ts'
import { mappings, textOf } from './answer-fields.ts'

/** What a daemon says on `/ready`. */
export interface DaemonReadiness {
  readonly ready: boolean
  readonly parts: readonly {
    readonly name: string
    readonly ready: boolean
    readonly detail: string
  }[]
}

/** Reads the body of `/ready`. @returns `undefined` when it is something else */
export function readReport(value: unknown): DaemonReadiness | undefined {
  if (!isMapping(value) || !Array.isArray(value['parts'])) return undefined
  const { ready, parts } = value
  if (typeof ready !== 'boolean') return undefined
  return {
    ready,
    parts: mappings(parts).map((part) => ({
      name: textOf(part['name']),
      ready: part['ready'] === true,
      detail: textOf(part['detail']),
    })),
  }
}
