/** Which daemons belong to this host? Where agents are central, a host has the proxy alone. */
import { existsSync } from 'node:fs'
import { adminAddress, daemons } from '../cli/admin-sockets.ts'
import { UsageError, type CommandCall, type OptionSpec } from '../cli/command.ts'
import type { Daemon } from '../config/defaults.ts'
import { adminTarget, type AdminAddress } from '../http/admin-client.ts'
import { mappings, textOf } from './answer-fields.ts'
import { fetchStatus } from './host-facts.ts'

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
  const addresses = { proxy: adminAddress('proxy', call), agent: adminAddress('agent', call) }
  const all = await Promise.all(
    daemons.map(async (daemon) => ({ daemon, why: await whyElsewhere(daemon, addresses) })),
  )
  return {
    here: all.filter(({ why }) => why === undefined).map(({ daemon }) => daemon),
    notes: all.flatMap(({ daemon, why }) => (why === undefined ? [] : [`${daemon}: ${why}`])),
  }
}

/**
 * @param addresses of both admin sockets
 * @returns `undefined` for a daemon that is here, or that has to be
 */
export async function whyElsewhere(
  daemon: Daemon,
  addresses: Readonly<Record<Daemon, AdminAddress>>,
): Promise<string | undefined> {
  const target = adminTarget(addresses[daemon], '/')
  if (target instanceof URL || existsSync(target.socketPath)) return undefined
  if (daemon === 'agent') {
    const agents = mappings((await fetchStatus(addresses.proxy))['agents'])
    const places = agents.map(({ agent }) => textOf(agent))
    const areElsewhere = places.length > 0 && places.every((place) => place.startsWith('https:'))
    return areElsewhere ? `not on this host; the proxy uses ${places.join(', ')}` : undefined
  }
  const listeners = mappings((await fetchStatus(addresses.agent))['listeners'])
  const servesOthers = listeners.length > 0 && listeners.every(({ kind }) => kind !== 'overlapd')
  const listening = listeners.map(({ socket, kind }) => `${textOf(socket)} (${textOf(kind)})`)
  return servesOthers
    ? `not on this host; the agent serves others at ${listening.join(', ')}`
    : undefined
}
