/** Which daemons belong to this host? Where agents are central, a host has the proxy alone. */
import { existsSync } from 'node:fs'
import { adminAddress, daemons } from '../cli/admin-sockets.ts'
import { UsageError, type CommandCall, type OptionSpec } from '../cli/command.ts'
import type { Daemon } from '../config/defaults.ts'
import { adminTarget } from '../http/admin-client.ts'
import { mappings, textOf } from './answer-fields.ts'
import { askStatus } from './host-facts.ts'

/** The daemons that a command looks at. */
export interface DaemonsHere {
  readonly here: readonly Daemon[]
  /** Why another one is left out: `agent: not on this host; the proxy uses https://agent-1:9699`. */
  readonly notes: readonly string[]
}

/** Of the commands that look at both. */
export const onlyOption: OptionSpec = {
  flags: '--only <daemon>',
  help: 'proxy or agent, where the other one is on another host',
  defaultText: 'both, or the one that is here, where it needs no other',
}

/** @throws {UsageError} */
export async function daemonsHere(call: CommandCall): Promise<DaemonsHere> {
  const only = call.options.text('only')
  if (only !== undefined) {
    const named = daemons.find((daemon) => daemon === only)
    if (named === undefined) throw new UsageError('--only must be proxy or agent')
    return { here: [named], notes: [] }
  }
  const all = await Promise.all(
    daemons.map(async (daemon) => ({ daemon, why: await whyElsewhere(daemon, call) })),
  )
  return {
    here: all.filter(({ why }) => why === undefined).map(({ daemon }) => daemon),
    notes: all.flatMap(({ daemon, why }) => (why === undefined ? [] : [`${daemon}: ${why}`])),
  }
}

/** @returns `undefined` for a daemon that is here, or that has to be */
async function whyElsewhere(daemon: Daemon, call: CommandCall): Promise<string | undefined> {
  const target = adminTarget(adminAddress(daemon, call), '/')
  if (target instanceof URL || existsSync(target.socketPath)) return undefined
  if (daemon === 'agent') {
    const agents = mappings((await askStatus(adminAddress('proxy', call)))['agents'])
    const places = agents.map(({ agent }) => textOf(agent))
    const areElsewhere = places.length > 0 && places.every((place) => place.startsWith('https:'))
    return areElsewhere ? `not on this host; the proxy uses ${places.join(', ')}` : undefined
  }
  const listeners = mappings((await askStatus(adminAddress('agent', call)))['listeners'])
  const servesOthers = listeners.length > 0 && listeners.every(({ kind }) => kind !== 'overlapd')
  const addresses = listeners.map(({ socket, kind }) => `${textOf(socket)} (${textOf(kind)})`)
  return servesOthers
    ? `not on this host; the agent serves others at ${addresses.join(', ')}`
    : undefined
}
