/** Can guests be served, by this daemon? One object, from which health, /ready, status, doctor, metrics and the page are made. */
import type { Count } from '../runtime/clock.ts'
import { daemonCodes } from './finding-codes.ts'

/**
 * The best first. `ready`: every guest can be served. `degraded`: some cannot, or a reserve is gone. `not_ready`: no guest can be
 * served.
 */
export const healthStates = ['ready', 'degraded', 'not_ready'] as const
/** One of {@link healthStates}. */
export type HealthState = (typeof healthStates)[number]

/** A stable word for what is wrong, with its meaning in {@link daemonCodes}. */
export type DaemonCode = keyof typeof daemonCodes

/** One thing that is wrong with a part, as the part itself knows it. */
export interface PartProblem {
  readonly code: DaemonCode
  readonly state: Exclude<HealthState, 'ready'>
  /** The evidence, for operators alone: `qrouter-1: EPERM`. */
  readonly what: string
  /** How many are concerned, of how many: namespaces, workers, endpoints. */
  readonly howMany: Count
  readonly of: Count
  /** Instead of that of the code, where the part knows better. */
  readonly remedy?: string | undefined
}

/** How one part is, as it knows itself. It is as bad as its worst problem. */
export interface PartHealth {
  readonly name: string
  /** How it stands, in words: `3 serving, 0 failed`. */
  readonly detail: string
  readonly problems: readonly PartProblem[]
}

/** One thing that is wrong, as it is reported. */
export interface HealthProblem extends Omit<PartProblem, 'remedy'> {
  readonly part: string
  /** What it does to guests. */
  readonly effect: string
  /** What mends it. */
  readonly remedy: string
  /** When it was first noticed, in ISO 8601. */
  readonly since: string
}

/** How the last guest fared; without it nothing shows that guests get answers. */
export interface ServedProof {
  /** When a guest got its metadata last, in ISO 8601; absent when none has since the start. */
  readonly guest?: string
  /** When the canary was answered last. */
  readonly canary?: string
}

/** The body of `/ready`, and `health` of `/status`. */
export interface HealthReport {
  readonly state: HealthState
  /** False for `not_ready` alone: then `/ready` answers 503. */
  readonly ready: boolean
  readonly parts: readonly {
    readonly name: string
    readonly state: HealthState
    readonly ready: boolean
    readonly detail: string
  }[]
  /** The worst first. */
  readonly problems: readonly HealthProblem[]
  readonly served: ServedProof
}

/** The worst of some states. */
export function worstState(states: readonly HealthState[]): HealthState {
  return healthStates.findLast((state) => states.includes(state)) ?? 'ready'
}

/** A part with one problem, or with none. */
export function partHealth(
  name: string,
  detail: string,
  ...problems: readonly (PartProblem | undefined)[]
): PartHealth {
  return { name, detail, problems: problems.filter((one) => one !== undefined) }
}

/**
 * A problem of so many of a number of like things, of which each can be served for itself: `not_ready` when it concerns all.
 * @returns `undefined` when it concerns none
 */
export function problemOf(
  code: DaemonCode,
  [howMany, of]: readonly [howMany: Count, of: Count],
  what: string,
  remedy?: string,
): PartProblem | undefined {
  if (howMany === 0) return undefined
  return { code, state: howMany < of ? 'degraded' : 'not_ready', what, howMany, of, remedy }
}

/** A problem with which guests are still served, at least for now. */
export function reserveProblem(
  code: DaemonCode,
  [howMany, of]: readonly [howMany: Count, of: Count],
  what: string,
  remedy?: string,
): PartProblem | undefined {
  return howMany === 0 ? undefined : { code, state: 'degraded', what, howMany, of, remedy }
}

/** @param sinceOf when a problem was first noticed, in ISO 8601 */
export function healthReport(
  parts: readonly PartHealth[],
  served: ServedProof,
  sinceOf: (part: string, problem: PartProblem) => string,
): HealthReport {
  const stateOf = ({ problems }: PartHealth): HealthState =>
    worstState(problems.map(({ state }) => state))
  const state = worstState(parts.map(stateOf))
  const rank = (problem: PartProblem): number => -healthStates.indexOf(problem.state)
  return {
    state,
    ready: state !== 'not_ready',
    parts: parts.map((part) => ({
      name: part.name,
      state: stateOf(part),
      ready: stateOf(part) !== 'not_ready',
      detail: part.detail,
    })),
    problems: parts
      .flatMap(({ name, problems }) =>
        problems.map((problem): HealthProblem => {
          const { effect, remedy } = daemonCodes[problem.code]
          return {
            part: name,
            ...problem,
            effect,
            remedy: problem.remedy ?? remedy,
            since: sinceOf(name, problem),
          }
        }),
      )
      .toSorted((one, other) => rank(one) - rank(other)),
    served,
  }
}

/** The first few of many texts, and how many more there are. */
export function someOf(texts: readonly string[], most = 3): string {
  const more = texts.length > most ? `; and ${texts.length - most} more` : ''
  return `${texts.slice(0, most).join('; ')}${more}`
}
