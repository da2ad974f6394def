/** What can be done with `overlapd-agent` on the command line? */
import { readFileSync } from 'node:fs'
import {
  UsageError,
  type CommandCall,
  type CommandSpec,
  type ProgramSpec,
} from '../lib/cli/command.ts'
import {
  checkCommand,
  configOptions,
  loadForCommand,
  referenceCommand,
  type ConfigDefinition,
} from '../lib/cli/config-command.ts'
import { explainCommand } from '../lib/operator/explain-command.ts'
import { healthCommand } from '../lib/operator/health-command.ts'
import { computeAddress, stopGrace } from '../lib/config/defaults.ts'
import { systemClock } from '../lib/runtime/clock.ts'
import type { Table } from '../lib/config/entry.ts'
import { uncaught } from '../lib/runtime/defects.ts'
import { causeText } from '../lib/runtime/errors.ts'
import type { ListenAt } from '../lib/http/serve.ts'
import { serviceNotifier } from '../lib/linux/sd-notify.ts'
import { Lifecycle, stopSignal } from '../lib/runtime/lifecycle.ts'
import { createLogger } from '../lib/runtime/log.ts'
import { Secret } from '../lib/runtime/secret.ts'
import { composeAgent } from './compose.ts'
import { agentConfig } from './config/config.ts'
import { parseTcpAddress, tcpAddressText } from '../lib/identity/tcp-address.ts'

const program = 'overlapd-agent'
const plainConfig = agentConfig as unknown as ConfigDefinition<Table>
const options = configOptions(plainConfig)

/** `overlapd-agent` with its commands. */
export const agentProgram: ProgramSpec = {
  name: program,
  description: `Finds out which instance a metadata request comes from, signs that, and forwards the request to the compute
metadata API. Listens on UNIX sockets for the proxies of this host, and with mutual TLS for those of others. It holds the shared secret and needs no privilege.`,
  commands: [
    serveCommand(),
    checkCommand(program, agentConfig),
    healthCommand({
      program,
      daemon: 'agent',
      options,
      addressOf: (call) => loadForCommand(agentConfig, call).config.admin.socket,
    }),
    explainCommand(program),
    devComputeCommand(),
    referenceCommand(program, plainConfig),
  ],
  examples: [
    [program, 'serve, as configured in /etc/overlapd/agent.yaml'],
    [`${program} check`, 'print what it would run with'],
    [`${program} explain --network 91c0… --ip 10.0.0.10`, 'who is that, and why?'],
  ],
}

function serveCommand(): CommandSpec {
  return {
    name: 'serve',
    isDefault: true,
    summary: 'serve proxies until SIGTERM or SIGINT (the default)',
    description: `Starts the port directory, listens for proxies, and serves until SIGTERM or SIGINT; then lets running requests
end. Needs no privilege: run it as a user of its own that may read the secret.`,
    options,
    examples: [[`${program} serve --set log.level=debug`, 'log more']],
    run: serve,
  }
}

async function serve(call: CommandCall): Promise<number> {
  const { config, warnings } = loadForCommand(agentConfig, call)
  const logger = createLogger({ component: 'agent', level: config.log.level })
  for (const warning of warnings) logger.warn({ warning }, 'Configuration')
  const stopped = stopSignal(systemClock)
  const lifecycle = new Lifecycle({
    logger,
    clock: systemClock,
    closeLimit: config.limits.timeout_drain + stopGrace,
  })
  const agent = await composeAgent(config, {
    clock: systemClock,
    logger,
    environment: call.terminal.environment,
  })
  process.on('SIGHUP', () => {
    agent.reload()
    try {
      agent.reconfigure(loadForCommand(agentConfig, call).config)
      logger.info(
        {},
        'Certificates, proxies, the files of the shield and rate_limit were read again; anything else needs a restart',
      )
    } catch (cause) {
      logger.error({ cause: causeText(cause) }, 'The changed configuration is not used')
    }
  })
  const defect = uncaught((fields) => {
    agent.countDefect()
    logger.error(fields, 'Uncaught exception: the agent stops, to be started again')
  })
  await lifecycle.start(agent.parts)
  logger.info(
    {
      sockets: config.listeners.map(({ socket, tcp }) =>
        tcp === undefined ? socket : tcpAddressText(tcp),
      ),
      ports: config.ports.kind,
    },
    'Agent started',
  )
  serviceNotifier(call.terminal.environment, logger)('READY=1')
  const signal = await Promise.race([stopped, defect])
  logger.info({ signal: signal ?? 'defect' }, 'Agent is stopping')
  await lifecycle.close()
  // A service manager starts another one after a failure alone.
  return signal === undefined ? 1 : 0
}

function listenAddress(text: string): ListenAt {
  if (text.startsWith('/')) return { socket: text, mode: 0o600 }
  const at = parseTcpAddress(text)
  if (at === undefined) {
    throw new UsageError(`--listen ${JSON.stringify(text)} is no ADDRESS:PORT and no path`)
  }
  return { host: at.address, tcpPort: at.tcpPort }
}

function devComputeCommand(): CommandSpec {
  return {
    name: 'serve-dev-compute',
    summary: 'serve a stand-in for the compute metadata API, for development',
    description: `Answers as Nova's metadata API does, signatures checked, for the instances of a file that the static port
directory reads as well. For development and demonstrations; it listens on loopback addresses only.`,
    options: [
      { flags: '--file <file>', help: 'YAML file of instances and their ports' },
      {
        flags: '--listen <address>',
        help: 'ADDRESS:PORT, or the path of a socket',
        defaultText: computeAddress,
      },
      {
        flags: '--shared-secret-file <file>',
        help: 'file that holds the shared secret; otherwise compute.shared_secret of the file',
      },
    ],
    examples: [[`${program} serve-dev-compute --file topology.yaml`, 'serve its instances']],
    async run({ options, terminal }) {
      const file = options.text('file')
      if (file === undefined) throw new UsageError('--file must be given')
      const secretFile = options.text('sharedSecretFile')
      const listen = listenAddress(options.text('listen') ?? computeAddress)
      const stopped = stopSignal(systemClock)
      // Loaded here alone, so that no production process has it in memory.
      const { startDevCompute } = await import('./compute-dev/serve.ts')
      const compute = await startDevCompute({
        file,
        listen,
        clock: systemClock,
        logger: createLogger({ component: 'dev-compute', level: 'info' }),
        ...(secretFile !== undefined && {
          secret: new Secret(readFileSync(secretFile, 'utf8').replace(/\r?\n$/, '')),
        }),
      })
      terminal.out(`listening on ${compute.url}\n`)
      await stopped
      await compute.close()
      return 0
    },
  }
}
