/** What does a GET without a body look like to whoever serves it? */
import type { IncomingHttpHeaders } from 'node:http'
import type { FlatFields } from './fields.ts'
import type { GetFields } from './request-head.ts'

/** A request as Node's server would show it, as far as it is looked at. The same one for all whose heads are the same bytes. */
export class IncomingGet {
  readonly method = 'GET'
  readonly url: string
  readonly rawHeaders: FlatFields
  /** The client ends the connection after the answer. */
  readonly isLast: boolean
  #headers: IncomingHttpHeaders | undefined

  constructor(target: string, { fields, isLast }: GetFields) {
    this.url = target
    this.rawHeaders = fields
    this.isLast = isLast
  }

  /** By name in lower case; values of one name are joined. */
  get headers(): IncomingHttpHeaders {
    this.#headers ??= joinedFields(this.rawHeaders)
    return this.#headers
  }
}

function joinedFields(fields: FlatFields): IncomingHttpHeaders {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before}, ${value}`
  }
  return headers
}
