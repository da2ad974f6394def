/** What can be done with `overlapd-proxy` on the command line? */
import type { CommandCall, CommandSpec, ProgramSpec } from '../lib/cli/command.ts'
import {
  checkCommand,
  configOptions,
  loadForCommand,
  referenceCommand,
} from '../lib/cli/config-command.ts'
import { explainRequestCommand } from '../lib/operator/explain-command.ts'
import { healthCommand } from '../lib/operator/health-command.ts'
import { stopGrace } from '../lib/config/defaults.ts'
import { systemClock } from '../lib/runtime/clock.ts'
import type { AdminAddress } from '../lib/http/admin-client.ts'
import { Lifecycle, stopSignal } from '../lib/runtime/lifecycle.ts'
import { createLogger } from '../lib/runtime/log.ts'
import { listCommand } from './admin/list-command.ts'
import { adoptCommand } from './adopt/adopt-command.ts'
import { agentPlaceText } from './config/agent-places.ts'
import { composeProxy } from './compose.ts'
import { proxyConfig, type ProxyConfig } from './config/config.ts'
import { openRestartState } from './takeover/restart-state.ts'
import { NftLibrary } from './netlink/nftables.ts'
import { openWindow } from './netns/window.ts'
import { workerAccount } from './privileges/accounts.ts'
import { restrictChildren } from './privileges/privileges.ts'
import { serviceNotifier } from '../lib/linux/sd-notify.ts'

const program = 'overlapd-proxy'
const options = configOptions(proxyConfig)

function addressOf(call: CommandCall): AdminAddress {
  return loadForCommand(proxyConfig, call).config.admin.socket
}

/** The grammar of `overlapd-proxy`. */
export const proxyProgram: ProgramSpec = {
  name: program,
  description: `Serves the metadata address 169.254.169.254 in every router's and network's namespace of this host, and
forwards each request to the metadata agent with the namespace it came through. One process group serves all.
It holds no secret; the agent holds no privilege.`,
  commands: [
    serveCommand(),
    checkCommand(program, proxyConfig, (config) => missingLibrary(config, new NftLibrary())),
    healthCommand({
      program,
      daemon: 'proxy',
      options,
      addressOf,
    }),
    listCommand({ options, addressOf }),
    explainRequestCommand(),
    adoptCommand({
      options,
      settingsOf: (call) => {
        const { config } = loadForCommand(proxyConfig, call)
        return { netnsDir: config.netns_dir, controlSocket: config.control.socket }
      },
    }),
    referenceCommand(program, proxyConfig),
  ],
  examples: [
    [program, 'serve, as configured in /etc/overlapd/proxy.yaml'],
    [`${program} check`, 'print what it would run with'],
    [`${program} list`, 'which namespaces are served, and which are not and why'],
  ],
}

function serveCommand(): CommandSpec {
  return {
    name: 'serve',
    isDefault: true,
    summary: 'serve guests until SIGTERM or SIGINT (the default)',
    description: `Finds the namespaces of this host, listens in each, and serves guests until SIGTERM or SIGINT; then lets
running requests end. SIGUSR2 ends the supervisor alone: its workers serve until the next one does. Needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, and CAP_SETUID, CAP_SETGID and CAP_SETPCAP to
give its workers none of them.`,
    options,
    examples: [[`${program} serve --set log.level=debug`, 'log more']],
    run: serve,
  }
}

async function serve(call: CommandCall): Promise<number> {
  // First of all, while the process is quiet: see netns/README.md.
  const window = await openWindow()
  const { config, warnings } = loadForCommand(proxyConfig, call)
  const logger = createLogger({ component: 'proxy', level: config.log.level })
  for (const warning of warnings) logger.warn({ warning }, 'Configuration')
  const nftables = new NftLibrary()
  const lacking = missingLibrary(config, nftables)
  if (lacking !== undefined) logger.error({ cause: lacking }, 'Cannot redirect metadata requests')
  const workersChangeUser = [
    config.workers,
    ...(config.ovn_provision.enabled ? [config.ovn_provision] : []),
  ].some((wanted) => workerAccount(wanted) !== undefined)
  if (!restrictChildren(workersChangeUser)) {
    logger.warn({}, 'Workers begin with all capabilities of the proxy: CAP_SETPCAP is missing')
  }
  const stopped = stopSignal(systemClock)
  const leaving = new Promise<'SIGUSR2'>((resolve) => process.once('SIGUSR2', resolve))
  const lifecycle = new Lifecycle({
    logger,
    clock: systemClock,
    closeLimit: config.limits.timeout_drain + stopGrace,
  })
  const restart = await openRestartState({
    config: config.restart,
    adminSocket: config.admin.socket,
    environment: call.terminal.environment,
    clock: systemClock,
    logger,
  })
  const proxy = composeProxy({ config, clock: systemClock, logger, window, nftables, restart })
  process.on('SIGHUP', () => {
    proxy.reload()
    const hasCertificates = config.agents.some(({ kind }) => kind === 'tls')
    const what = hasCertificates ? 'Certificates were read again' : 'There is nothing to read again'
    logger.info({}, `${what}: other settings need a restart`)
  })
  await lifecycle.start(proxy.parts)
  const notify = serviceNotifier(call.terminal.environment, logger)
  const agents = config.agents.map(agentPlaceText)
  logger.info({ netnsDir: config.netns_dir, agents }, 'Proxy started')
  notify(`READY=1\nMAINPID=${process.pid}`)
  const reason = await Promise.race([stopped, leaving])
  logger.info({ reason }, 'Proxy is stopping')
  if (reason === 'SIGUSR2') proxy.leaveWorkers()
  notify('STOPPING=1')
  await lifecycle.close()
  window.close()
  return 0
}

/** What to install where rules are wanted and cannot be loaded. */
function missingLibrary(config: ProxyConfig, library: NftLibrary): string | undefined {
  const isWanted =
    config.intercept.enabled || config.mappings.some(({ intercept }) => intercept === true)
  return isWanted ? library.missing : undefined
}
