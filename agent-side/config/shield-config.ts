/** What can an operator decide about the shield? */
import type { ConfigProblem, Table } from '../../lib/config/entry.ts'
import { flag, path } from '../../lib/config/option.ts'
import { list, optional } from '../../lib/config/structure.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import { readTokenKeys } from '../shield/key-files.ts'
import { policyFileProblems } from '../shield/policy-file.ts'

/** The section `shield`. */
export const shieldTable = {
  policy_file: optional(
    path({
      help: 'File with the policy: which guests must send tokens, and so on. It is read again when it changes. Without one every shield is observed and none refuses.',
    }),
  ),
  network_tags: flag({
    help: 'Take tags of a network for a part of the policy, such as "overlapd:user_data:token=enforce". Tenants write tags: they can make the policy stricter for guests of the network, and nothing else. Needs ports.kind neutron-rest.',
    default: false,
  }),
  token_key_files: list(
    path({
      help: 'File with one key: at least 32 characters, such as those of "openssl rand -hex 32".',
    }),
    {
      help: 'Keys of session tokens. The first makes them, all verify them; the files are read again when they change, and another list needs a restart. Agents that serve the same guests need the same keys. Without one the agent makes a key that ends with it.',
      default: [],
      max: 16,
    },
  ),
  state_file: optional(
    path({
      help: 'File in which the agent keeps over restarts who was seen, for "overlapd shield", and what is sealed. Without one it keeps the report in memory alone, and a policy can seal nothing.',
    }),
  ),
} as const satisfies Table

interface ShieldOptions {
  readonly ports: { readonly kind: string }
  readonly shield: {
    readonly policy_file: string | undefined
    readonly state_file: string | undefined
    readonly network_tags: boolean
    readonly token_key_files: readonly string[]
  }
}

/** What the files are wrong in. */
export function shieldProblems({ shield, ports }: ShieldOptions): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (shield.policy_file !== undefined) {
    problems.push(
      ...policyFileProblems(
        shield.policy_file,
        'shield.policy_file',
        shield.state_file !== undefined,
      ),
    )
  }
  if (shield.network_tags && ports.kind !== 'neutron-rest') {
    const message = 'needs ports.kind neutron-rest: no other directory reads tags'
    problems.push({ path: 'shield.network_tags', message })
  }
  try {
    readTokenKeys(shield.token_key_files)
  } catch (thrown) {
    problems.push({ path: 'shield.token_key_files', message: causeText(thrown) })
  }
  return problems
}
