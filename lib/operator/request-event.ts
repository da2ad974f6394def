/** What does one request look like to whoever watches? Both daemons send the same form. */
import { isReasonCode } from '../runtime/reason-codes.ts'
import type { FormOf } from '../files/schema.ts'
import type { requestEvent } from './api/shared.ts'

/** One request that is over, on `/events` of either daemon. Holds nothing that is signed. */
export type RequestEvent = FormOf<typeof requestEvent>

/** Whether a guest did not get what compute has for it. A path that compute does not have is no refusal: cloud-init tries some. */
export function isRefusal({
  outcome,
  status,
}: {
  readonly outcome: string
  readonly status: number
}): boolean {
  return outcome !== 'relayed' || (status >= 400 && status !== 404)
}

/** Which requests are to be shown: those that fit everything that is given. */
export interface EventFilter {
  readonly router?: string | undefined
  readonly network?: string | undefined
  readonly instance?: string | undefined
  readonly reason?: string | undefined
  /** `refused` stands for whatever {@link isRefusal} holds for. */
  readonly only?: 'refused' | undefined
}

/** The names of a filter in a query, which are those of the command's options. */
export const filterNames = ['router', 'network', 'instance', 'reason', 'only'] as const

/** @returns what is wrong with a query, in words, when it is no filter */
export function readEventFilter(
  query: Readonly<Record<string, string | undefined>>,
): EventFilter | string {
  const { router, network, instance, reason, only } = query
  const unknown = Object.keys(query).find((name) => !filterNames.some((known) => known === name))
  if (unknown !== undefined) return `unknown filter ${JSON.stringify(unknown)}`
  if (reason !== undefined && !isReasonCode(reason)) {
    return `there is no reason code ${JSON.stringify(reason)}`
  }
  if (only !== undefined && only !== 'refused') return 'only takes refused'
  return { router, network, instance, reason, only }
}

/** Whether an event fits a filter. */
export function fitsFilter(filter: EventFilter, event: RequestEvent): boolean {
  const { router, network, instance, reason, only } = filter
  if (router !== undefined && event.scope !== `router/${router}`) return false
  if (
    network !== undefined &&
    event.scope !== `network/${network}` &&
    event.networkId !== network
  ) {
    return false
  }
  if (instance !== undefined && event.instanceId !== instance) return false
  if (reason !== undefined && event.reason !== reason) return false
  return only === undefined || isRefusal(event)
}
