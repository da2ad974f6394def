/** Which namespaces are served, and which are not and why? The status as a table. */
import { jsonText } from '../../lib/cli/json-output.ts'
import type { CommandCall, CommandSpec, OptionSpec } from '../../lib/cli/command.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { requestAdminJson, type AdminAddress } from '../../lib/http/admin-client.ts'
import { terminalText, textTable } from '../../lib/observe/text-table.ts'
import { mappings, textOf, texts } from '../../lib/operator/answer-fields.ts'
import { adminSocketOption } from '../../lib/operator/health-command.ts'

/** `list` */
export function listCommand(details: {
  /** Options by which the socket is found. */
  readonly options: readonly OptionSpec[]
  /** Where the admin socket is without `--admin`. */
  addressOf(call: CommandCall): AdminAddress
}): CommandSpec {
  return {
    name: 'list',
    summary: 'list the namespaces that are served, and those that are not and why',
    options: [adminSocketOption, ...details.options, { flags: '--json', help: 'print JSON' }],
    exitCodes: [
      [0, 'all are served'],
      [1, 'one is not, or the proxy did not answer'],
      [2, 'called wrongly, or the configuration cannot be used'],
    ],
    async run(call) {
      const { options, terminal } = call
      const admin = options.text('admin') ?? details.addressOf(call)
      const { value } = await requestAdminJson(admin, '/status')
      const rows = rowsOf(isMapping(value) ? value : {})
      terminal.out(
        options.flag('json')
          ? jsonText(isMapping(value) ? value : {})
          : textTable([['NAMESPACE', 'SCOPE', 'STATE', 'LISTENERS', 'WHY'], ...rows]),
      )
      return rows.every(([, , state]) => state === 'serving') ? 0 : 1
    },
  }
}

function rowsOf(status: Readonly<Record<string, unknown>>): readonly (readonly string[])[] {
  const { namespaces, refused, ovnProvision } = status
  const served = mappings(namespaces).map((one) => [
    textOf(one['netns']),
    textOf(one['scope']),
    one['interception'] === 'failed' ? 'failed' : textOf(one['state']),
    texts(one['listeners']).join(' '),
    textOf(one['why']),
  ])
  const left = (list: unknown, state: string): string[][] =>
    mappings(list).map((one) => [textOf(one['netns']), '', state, '', textOf(one['why'])])
  const troubles = isMapping(ovnProvision) ? ovnProvision['troubles'] : []
  return [...served, ...left(refused, 'refused'), ...left(troubles, 'not provisioned')].map((row) =>
    row.map(terminalText),
  )
}
