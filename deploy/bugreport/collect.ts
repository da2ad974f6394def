/** What goes into a report, and which secrets must not? */
import { agentProgram } from '../../agent-side/cli.ts'
import { agentConfig } from '../../agent-side/config/config.ts'
import { adminAddress, daemons } from '../../lib/cli/admin-sockets.ts'
import { type CommandCall, type ProgramSpec } from '../../lib/cli/command.ts'
import {
  configOptions,
  loadForCommand,
  type ConfigDefinition,
} from '../../lib/cli/config-command.ts'
import { netnsFolder, type Daemon } from '../../lib/config/defaults.ts'
import { processFacts } from '../../lib/host/process-facts.ts'
import type { Table } from '../../lib/config/entry.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { AdminUnreachableError, requestAdmin } from '../../lib/http/admin-client.ts'
import { mappings, textOf } from '../../lib/operator/answer-fields.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { proxyConfig } from '../../proxy/config/config.ts'
import type { ReportPart } from './archive.ts'
import { asAccountOf } from './as-account.ts'
import { runCaptured } from './captured-command.ts'
import { readDaemonProcess, type DaemonProcess } from './daemon-process.ts'
import { hostFacts } from './host-facts.ts'
import { listRules } from './rules.ts'
import { writtenSecrets } from './written-secrets.ts'

/** A report before it is cleaned. */
export interface CollectedReport {
  readonly parts: readonly ReportPart[]
  readonly secrets: ReadonlySet<string>
}

const sides: Readonly<
  Record<Daemon, { readonly program: ProgramSpec; readonly definition: ConfigDefinition<Table> }>
> = {
  proxy: { program: proxyProgram, definition: proxyConfig },
  agent: { program: agentProgram, definition: agentConfig },
}

/** Of whom a variable may hold a secret, by its name. */
const secretVariable = /SECRET|PASSWORD|TOKEN|CREDENTIAL|TRANSPORT_URL/i

/** @param operator the program whose commands look over both daemons */
export async function collectReport(
  call: CommandCall,
  operator: ProgramSpec,
): Promise<CollectedReport> {
  const secrets = new Set<string>()
  noteSecretVariables(call.terminal.environment, secrets)
  const parts: ReportPart[] = [{ name: 'host.json', text: json(hostFacts()) }]
  const sockets = daemons.flatMap((daemon) => [`--${daemon}`, adminAddress(daemon, call)])
  for (const command of ['health', 'doctor', 'audit']) {
    const argv = [command, ...sockets, '--json']
    const { out, error } = await runCaptured(operator, argv, call.terminal.environment)
    parts.push({ name: `${command}.json`, text: out })
    if (error !== '') parts.push({ name: `${command}.errors.txt`, text: error })
  }
  for (const daemon of daemons) parts.push(...(await daemonParts(call, daemon, secrets)))
  return { parts, secrets }
}

async function daemonParts(
  call: CommandCall,
  daemon: Daemon,
  secrets: Set<string>,
): Promise<readonly ReportPart[]> {
  const status = await answer(call, daemon, '/status')
  const value = parsed(status)
  const { pid } = value
  const running = typeof pid === 'number' ? readDaemonProcess(pid) : 'It does not run'
  const refusals = mappings(value['recentRefusals'])
  const namespaces = mappings(value['namespaces']).map(({ netns }) => textOf(netns))
  const account = typeof pid === 'number' ? processFacts(pid) : undefined
  const configuration = await asAccountOf(account, () =>
    configParts(call, daemon, running, secrets),
  )
  const folder = netnsFolderIn(configuration[0]?.text ?? '')
  return [
    { name: `${daemon}/status.json`, text: status },
    { name: `${daemon}/ready.json`, text: await answer(call, daemon, '/ready') },
    { name: `${daemon}/metrics.txt`, text: await answer(call, daemon, '/metrics') },
    { name: `${daemon}/process.txt`, text: processText(running) },
    ...configuration,
    ...(daemon === 'agent' ? [{ name: 'agent/refusals.json', text: json(refusals) }] : []),
    ...(namespaces.length > 0
      ? [{ name: 'proxy/rules.txt', text: listRules(folder, namespaces) }]
      : []),
  ]
}

function netnsFolderIn(configuration: string): string {
  const named = mappings(parsed(configuration)['options']).find(({ path }) => path === 'netns_dir')
  return typeof named?.['value'] === 'string' ? named['value'] : netnsFolder
}

/** As the daemon itself would read it: with its own arguments and variables. */
async function configParts(
  call: CommandCall,
  daemon: Daemon,
  running: DaemonProcess | string,
  secrets: Set<string>,
): Promise<readonly ReportPart[]> {
  const { program, definition } = sides[daemon]
  const isRunning = typeof running !== 'string'
  const environment = isRunning ? running.environment : call.terminal.environment
  const given = isRunning ? running.argv.filter((word) => word !== 'serve') : []
  noteSecretVariables(environment, secrets)
  const { out, error } = await runCaptured(program, ['check', '--json', ...given], environment)
  await noteConfiguredSecrets(definition, given, environment, secrets)
  for (const secret of writtenSecrets(definition, given, environment)) secrets.add(secret)
  return [
    { name: `${daemon}/configuration.json`, text: out },
    ...(error === '' ? [] : [{ name: `${daemon}/configuration.errors.txt`, text: error }]),
  ]
}

/** What the secret options of a configuration hold, so that it can be looked for everywhere else. */
async function noteConfiguredSecrets(
  definition: ConfigDefinition<Table>,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  secrets: Set<string>,
): Promise<void> {
  const reader: ProgramSpec = {
    name: 'overlapd',
    description: '',
    commands: [
      {
        name: 'read',
        summary: '',
        options: configOptions(definition),
        run(call) {
          for (const { value } of loadForCommand(definition, call).rows) noteSecrets(value, secrets)
          return 0
        },
      },
    ],
  }
  await runCaptured(reader, ['read', ...argv], environment)
}

function noteSecrets(value: unknown, secrets: Set<string>): void {
  if (value instanceof Secret) secrets.add(value.reveal())
  else if (Array.isArray(value)) for (const one of value) noteSecrets(one, secrets)
  else if (isMapping(value)) for (const one of Object.values(value)) noteSecrets(one, secrets)
}

function noteSecretVariables(
  environment: Readonly<Record<string, string | undefined>>,
  secrets: Set<string>,
): void {
  for (const [name, value] of Object.entries(environment)) {
    const isPath = value?.startsWith('/') === true
    if (value !== undefined && !isPath && secretVariable.test(name)) secrets.add(value)
  }
}

function processText(running: DaemonProcess | string): string {
  if (typeof running === 'string') return `${running}\n`
  // Values of variables are what secrets are kept in.
  const names = Object.keys(running.environment).filter((name) => name.startsWith('OVERLAPD_'))
  return `arguments: ${JSON.stringify(running.argv)}\nvariables: ${names.join(' ')}\n${running.status}`
}

async function answer(call: CommandCall, daemon: Daemon, path: string): Promise<string> {
  try {
    return (await requestAdmin(adminAddress(daemon, call), path)).body
  } catch (thrown) {
    if (!(thrown instanceof AdminUnreachableError)) throw thrown
    return json({ message: thrown.message })
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(text) as unknown
    return isMapping(value) ? value : {}
  } catch {
    return {}
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
