/** Which guests of this host are an instance, or have an address? */
import { adminAddress } from '../cli/admin-sockets.ts'
import type { CommandCall } from '../cli/command.ts'
import { isMapping } from '../runtime/mapping.ts'
import { AdminUnreachableError, requestAdminJson } from '../http/admin-client.ts'
import { terminalText } from '../observe/text-table.ts'
import type { Count } from '../runtime/clock.ts'
import { mappings, textOf } from './answer-fields.ts'

/** One address in one scope. Empty texts stand for what the daemon left out. */
export interface FoundGuest {
  /** `router/ID` or `network/ID` */
  readonly scope: string
  readonly address: string
  readonly macAddress: string
  readonly instanceId: string
}

/** What a search came to. */
export interface GuestSearch {
  readonly guests: readonly FoundGuest[]
  /** How many scopes were looked through. */
  readonly scopes: Count
}

/** Many scopes of a busy cloud, queried one network after the other. */
const limits = { timeLimit: 300_000, bodyLimit: 64 * 1024 * 1024 } as const

/**
 * Looks through the scopes that the proxy of this host serves; without a proxy, through all that the agent's port directory lists.
 * @returns why nothing could be looked through, in words
 * @throws {AdminUnreachableError} when the agent cannot be queried
 */
export async function searchGuests(
  call: CommandCall,
  isWanted: (guest: FoundGuest) => boolean,
): Promise<GuestSearch | string> {
  const scopes = await servedScopes(call)
  const json = { answers: true, ...(scopes && { scopes }) }
  const address = adminAddress('agent', call)
  const { status, value } = await requestAdminJson(address, '/audit', { ...limits, json })
  const report = isMapping(value) ? value : {}
  if (status !== 200) return `The agent answered: ${terminalText(textOf(report['message']))}`
  const checked = isMapping(report['checked']) ? report['checked'] : {}
  const guests = mappings(report['answers']).map((answer) => ({
    scope: textOf(answer['scope']),
    address: textOf(answer['address']),
    macAddress: textOf(answer['macAddress']),
    instanceId: textOf(answer['instanceId']),
  }))
  const seen = typeof checked['scopes'] === 'number' ? checked['scopes'] : 0
  return { guests: guests.filter(isWanted), scopes: seen }
}

async function servedScopes(call: CommandCall): Promise<readonly string[] | undefined> {
  try {
    const { value } = await requestAdminJson(adminAddress('proxy', call), '/status')
    const namespaces = mappings(isMapping(value) ? value['namespaces'] : undefined)
    return [...new Set(namespaces.map(({ scope }) => textOf(scope)))]
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return undefined
  }
}
