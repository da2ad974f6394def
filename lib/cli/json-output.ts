/** What do programs read that run a command with --json? */
import { adminApiVersion } from '../http/admin-api-version.ts'

/** One object on one line, with the version of its form first: `{"api":"1",…}`. */
export function jsonLine(fields: object): string {
  return `${JSON.stringify({ api: adminApiVersion, ...fields })}\n`
}

/** The same, to be read by people as well. */
export function jsonText(fields: object): string {
  return `${JSON.stringify({ api: adminApiVersion, ...fields }, undefined, 2)}\n`
}
