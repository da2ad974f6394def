import { isMapping } from '../runtime/mapping.ts'
import { mappings, textOf } from './answer-fields.ts'
import { healthStates, type HealthState } from './health.ts'

/** What a daemon reports on `/ready`, as far as it can be read: the daemon may be of another version. */
export interface DaemonReadiness {
  readonly state: HealthState
  readonly ready: boolean
  readonly parts: readonly {
    readonly name: string
    readonly ready: boolean
    readonly detail: string
  }[]
  readonly problems: readonly ReadProblem[]
  readonly served: { readonly guest?: string; readonly canary?: string }
}

/** A problem as a daemon reported it. */
export interface ReadProblem {
  readonly part: string
  readonly code: string
  readonly state: HealthState
  readonly what: string
  readonly howMany: number
  readonly of: number
  readonly since: string
  readonly effect: string
  readonly remedy: string
}

/** Reads the body of `/ready`. @returns `undefined` when it is something else */
export function readReport(value: unknown): DaemonReadiness | undefined {
  if (!isMapping(value) || !Array.isArray(value['parts'])) return undefined
  const { ready, parts, problems, served } = value
  if (typeof ready !== 'boolean') return undefined
  const { guest, canary } = isMapping(served) ? served : {}
  return {
    // One that reports no state is older.
    state: stateOf(value['state']) ?? (ready ? 'ready' : 'not_ready'),
    ready,
    parts: mappings(parts).map((part) => ({
      name: textOf(part['name']),
      ready: part['ready'] === true,
      detail: textOf(part['detail']),
    })),
    problems: mappings(problems).map(readProblem),
    served: {
      ...(typeof guest === 'string' && { guest }),
      ...(typeof canary === 'string' && { canary }),
    },
  }
}

function stateOf(value: unknown): HealthState | undefined {
  return healthStates.find((state) => state === value)
}

function readProblem(value: Readonly<Record<string, unknown>>): ReadProblem {
  const count = (name: string): number => (typeof value[name] === 'number' ? value[name] : 0)
  return {
    part: textOf(value['part']),
    code: textOf(value['code']),
    state: stateOf(value['state']) ?? 'not_ready',
    what: textOf(value['what']),
    howMany: count('howMany'),
    of: count('of'),
    since: textOf(value['since']),
    effect: textOf(value['effect']),
    remedy: textOf(value['remedy']),
  }
}
