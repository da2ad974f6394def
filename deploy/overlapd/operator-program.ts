import { auditCommand } from '../../lib/operator/audit-command.ts'
import type { ProgramSpec } from '../../lib/cli/command.ts'
import { watchCommand } from '../../lib/operator/watch-command.ts'
import { apiCommand } from './api-command.ts'
import { bugreportCommand } from './bugreport-command.ts'
import { demoCommand } from './demo-command.ts'
import { shieldCommand } from './shield-command.ts'
import { testCommand } from './test-command.ts'
import { unsealCommand } from './unseal-command.ts'
import { uiCommand } from './ui-command.ts'
import { doctorCommand } from '../../lib/operator/doctor-command.ts'
import { explainCommand } from '../../lib/operator/explain-command.ts'
import { reasonsCommand } from '../../lib/operator/reasons-command.ts'
import { hostHealthCommand, statusCommand } from '../../lib/operator/status-command.ts'

/** `overlapd`, the operator's program: it queries the daemons and holds no logic of theirs. */
export function operatorProgram(): ProgramSpec {
  return {
    name: 'overlapd',
    description: `Metadata service for instances on overlapping networks: serves 169.254.169.254 in the namespace of every router
and network. This is the operator's program; the daemons are overlapd-proxy and overlapd-agent.`,
    commands: [
      demoCommand(),
      explainCommand('overlapd'),
      testCommand(),
      watchCommand(),
      uiCommand(),
      statusCommand(),
      hostHealthCommand(),
      doctorCommand(),
      auditCommand(),
      shieldCommand(),
      unsealCommand(),
      reasonsCommand(),
      apiCommand(),
      bugreportCommand(operatorProgram),
    ],
    examples: [
      ['overlapd demo', 'try it on this machine'],
      ['overlapd doctor', 'is this host fit, and what is to be done?'],
      ['overlapd explain --router ID --ip 10.0.0.10', 'why did that guest get a 404?'],
      ['overlapd watch --refused', 'what goes wrong right now?'],
      ['overlapd status', 'how do the daemons of this host stand?'],
      ['overlapd audit', 'would every guest of this host get its own metadata?'],
    ],
  }
}
