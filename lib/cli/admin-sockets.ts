import type { AdminAddress } from '../http/admin-client.ts'
import { defaultSockets, type Daemon } from '../config/defaults.ts'
import type { CommandCall, OptionSpec } from './command.ts'

/** All of them, in the order in which a request passes them. */
export const daemons: readonly Daemon[] = ['proxy', 'agent']

/** The option that names a daemon's admin socket: `--proxy <socket>`. */
export function adminOption(daemon: Daemon): OptionSpec {
  return {
    flags: `--${daemon} <socket>`,
    help: `admin socket of the ${daemon}: a path, or http://HOST:PORT`,
    defaultText: defaultSockets.admin[daemon],
  }
}

/** The admin socket of a daemon, as given to a command. */
export function adminAddress(daemon: Daemon, call: CommandCall): AdminAddress {
  return call.options.text(daemon) ?? defaultSockets.admin[daemon]
}
