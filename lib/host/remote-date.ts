/** What time is it elsewhere? */
import { request as requestOverHttp } from 'node:http'
import { request as requestOverHttps } from 'node:https'
import type { EpochMilliseconds, Milliseconds } from '../runtime/clock.ts'

/**
 * Requests the `Date` of an HTTP service (RFC 9110 §6.6.1), which has whole seconds. Nothing but that is used, so its certificate is
 * not verified.
 * @returns `undefined` when it does not answer, or without a date
 */
export function remoteDate(
  url: string,
  timeLimit: Milliseconds,
): Promise<EpochMilliseconds | undefined> {
  return new Promise((resolve) => {
    const begin = url.startsWith('https:') ? requestOverHttps : requestOverHttp
    const signal = AbortSignal.timeout(timeLimit)
    const settings = { method: 'GET', signal, agent: false, rejectUnauthorized: false }
    try {
      const outgoing = begin(url, settings, (incoming) => {
        const date = Date.parse(incoming.headers.date ?? '')
        incoming.destroy()
        resolve(Number.isNaN(date) ? undefined : date)
      })
      outgoing.on('error', () => resolve(undefined))
      outgoing.end()
    } catch {
      resolve(undefined)
    }
  })
}
