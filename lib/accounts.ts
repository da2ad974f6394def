/** Which user or group does a name in the configuration mean? Read from the system's files; no service is asked. */
import { readFileSync } from 'node:fs'

/** The columns of `/etc/passwd` and `/etc/group` that name and number are in. */
const columns = { name: 0, id: 2 } as const

function idIn(file: string, wanted: string): number | undefined {
  if (/^\d{1,10}$/.test(wanted)) return Number(wanted)
  const rows = readFileSync(file, 'utf8').split('\n')
  const row = rows.map((line) => line.split(':')).find((fields) => fields[columns.name] === wanted)
  const id = Number(row?.[columns.id])
  return Number.isSafeInteger(id) ? id : undefined
}

/** @returns the number of a user given by name or number, or `undefined` when the name is unknown */
export function userIdOf(user: string, file = '/etc/passwd'): number | undefined {
  return idIn(file, user)
}

/** @returns the number of a group given by name or number, or `undefined` when the name is unknown */
export function groupIdOf(group: string, file = '/etc/group'): number | undefined {
  return idIn(file, group)
}
