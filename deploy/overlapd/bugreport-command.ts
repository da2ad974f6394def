import { hostname } from 'node:os'
import { adminOption, daemons } from '../../lib/cli/admin-sockets.ts'
import type { CommandSpec, ProgramSpec } from '../../lib/cli/command.ts'
import { helpHint } from '../../lib/cli/failure.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { systemClock } from '../../lib/runtime/clock.ts'

/**
 * `bugreport`: everything that others need to help.
 * @param operator the program that it is a command of
 */
export function bugreportCommand(operator: () => ProgramSpec): CommandSpec {
  return {
    name: 'bugreport',
    summary: 'collect what support needs into one archive',
    description: `Gathers versions, the configuration of both daemons, their status, health, metrics and latest refusals, doctor, audit, nft
rules and facts about the kernel into one .tar.gz that its owner alone can read. Secrets never get into it: options that
hold one are left out, and what they hold is taken out of everything else. Run it as root, so that rules and processes can
be read.`,
    options: [
      {
        flags: '--output <file>',
        help: 'where to write it',
        defaultText: 'in this folder, named for host and time',
      },
      {
        flags: '--redact',
        help: 'replace ids, addresses and paths of tenants by numbers, the same one everywhere',
      },
      ...daemons.map(adminOption),
    ],
    examples: [
      ['sudo overlapd bugreport', 'for your own support'],
      ['sudo overlapd bugreport --redact', 'for a public bug tracker'],
    ],
    exitCodes: [
      [0, 'written; standard output names the file'],
      [1, 'could not be written'],
      [2, 'called wrongly'],
    ],
    async run(call) {
      // It needs both sides, whose configurations it reads: loaded by this command alone.
      const { collectReport } = await import('../bugreport/collect.ts')
      const { TenantNames, withoutSecrets } = await import('../bugreport/scrub.ts')
      const { writeArchive } = await import('../bugreport/archive.ts')
      const time = new Date(systemClock.wallTime()).toISOString().replaceAll(/\D/g, '').slice(0, 14)
      const folder = `overlapd-bugreport-${hostname()}-${time}`
      const file = call.options.text('output') ?? `${folder}.tar.gz`
      const { parts, secrets } = await collectReport(call, operator())
      const names = new TenantNames()
      const isRedacted = call.options.flag('redact')
      const clean = parts.map(({ name, text }) => {
        const plain = withoutSecrets(text, secrets)
        return { name, text: isRedacted ? names.redact(plain) : plain }
      })
      try {
        writeArchive(file, folder, clean)
      } catch (cause) {
        const isThere = (cause as NodeJS.ErrnoException).code === 'EEXIST'
        const what = isThere
          ? `${file} exists already: name another file.`
          : `Cannot write the report: ${causeText(cause)}`
        const help = helpHint({ program: 'overlapd', command: 'bugreport' })
        call.terminal.error(`overlapd: ${terminalText(what)}\n${help}`)
        return 1
      }
      call.terminal.out(`${file}\n`)
      return 0
    },
  }
}
