import { MetadataError } from '../../../../lib/runtime/errors.ts'

const meanings: Readonly<Record<number, string>> = {
  400: 'it does not understand the query; is the endpoint Neutron?',
  401: 'it does not accept our token',
  403: 'its policy does not allow us to list ports; the user needs a role that may read all projects',
  404: 'it knows no ports there; check the endpoint',
  413: 'the query is too long for it',
  414: 'the query is too long for it',
  429: 'it receives too many requests',
}

/** True for answers that may be others a moment later. */
export function isPassing(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504
}

/** Neutron's answer was no list of ports. Its text is not taken over: it can hold what tenants wrote. */
export function statusError(status: number): MetadataError {
  const meaning = meanings[status] ?? (status >= 500 ? 'it failed' : 'this is not expected')
  const code = status === 504 ? 'directory_timeout' : 'directory_unavailable'
  return new MetadataError(code, `Neutron answered ${status}: ${meaning}`, { details: { status } })
}
