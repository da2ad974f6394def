import type { AdminAddress } from '../http/admin-client.ts'
import type { CommandCall, OptionSpec } from './command.ts'

/** Where the admin socket of each daemon is unless its configuration says otherwise. */
export const defaultAdminSockets = {
  proxy: '/run/overlapd/proxy-admin.sock',
  agent: '/run/overlapd/agent-admin.sock',
} as const

/** The daemons that have an admin socket. */
export type Daemon = keyof typeof defaultAdminSockets
/** All of them, in the order in which a request passes them. */
export const daemons: readonly Daemon[] = ['proxy', 'agent']

/** The option that names a daemon's admin socket: `--proxy <socket>`. */
export function adminOption(daemon: Daemon): OptionSpec {
  return {
    flags: `--${daemon} <socket>`,
    help: `admin socket of the ${daemon}: a path, or http://HOST:PORT`,
    defaultText: defaultAdminSockets[daemon],
  }
}

/** The admin socket of a daemon, as a command was told. */
export function adminAddress(daemon: Daemon, call: CommandCall): AdminAddress {
  return call.options.text(daemon) ?? defaultAdminSockets[daemon]
}
