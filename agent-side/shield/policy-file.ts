/** How does the operator write a policy? */
import { problemsOfFile } from '../../lib/config/config-error.ts'
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { duration, integer, leafOption, oneOf, text } from '../../lib/config/option.ts'
import { list, optional, section } from '../../lib/config/structure.ts'
import {
  parseInstanceId,
  parseNetworkId,
  parseProjectId,
  parseRouterId,
} from '../../lib/identity/ids.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { documentClasses, type DocumentClass } from '../../lib/shield/document-class.ts'
import {
  ruleSubjects,
  shieldActions,
  shields,
  type RuleSubject,
  type Shield,
  type ShieldAction,
} from '../../lib/shield/shields.ts'
import type { PolicyRule, PolicyRules } from './policy.ts'

type ActionsByClass = Readonly<Partial<Record<DocumentClass, ShieldAction>>>

const parsers = {
  instance: parseInstanceId,
  network: parseNetworkId,
  router: parseRouterId,
  project: parseProjectId,
} as const satisfies Record<RuleSubject, (text: unknown) => string | undefined>

const expectedActions = `${shieldActions.join(', ')}, or one of them for each of ${documentClasses.join(', ')}`

function actionOf(value: unknown): ShieldAction | undefined {
  return shieldActions.find((one) => one === value)
}

function parseActions(value: unknown): ActionsByClass | undefined {
  const word = actionOf(value)
  if (word !== undefined) return Object.fromEntries(documentClasses.map((one) => [one, word]))
  if (!isMapping(value)) return undefined
  const entries = Object.entries(value).map(([name, action]) => [name, actionOf(action)] as const)
  const isWhole = entries.every(
    ([name, action]) => action !== undefined && documentClasses.some((one) => one === name),
  )
  return isWhole ? Object.fromEntries(entries) : undefined
}

function actionsOption(help: string) {
  return optional(
    leafOption<ActionsByClass>(
      {
        type: 'actions',
        expected: expectedActions,
        parse: ({ value }) => parseActions(value),
        show: (value) => JSON.stringify(value),
      },
      { help },
    ),
  )
}

const longestSeal: Milliseconds = 30 * 24 * 3_600_000

/** What a rule decides. */
const decisions = {
  token: actionsOption('A request must come with a session token.'),
  forwarded: actionsOption(
    'A request must come from the guest itself: not from a container behind it, nor from a proxy in it.',
  ),
  host: actionsOption('Host must name the metadata service.'),
  low_port: actionsOption('The source port must be below 1024.'),
  hop_limit: optional(
    integer({
      help: 'How far answers with tokens go, and answers that forwarded enforces. 1 is the guest itself, 2 a container behind it.',
      min: 1,
      max: 64,
      unit: 'hops',
    }),
  ),
  seal: optional(
    oneOf(['never', 'fetch', 'first_request'], {
      help: 'From when seal_after counts before user data, vendor data and the password are no longer served.',
    }),
  ),
  seal_after: optional(
    duration({ help: 'How long they are served.', min: '1s', max: `${longestSeal}ms` }),
  ),
} as const

function idOption(subject: RuleSubject) {
  return optional(
    leafOption<string>(
      {
        type: 'id',
        expected: `the id of one ${subject}`,
        parse: ({ value }) => parsers[subject](value),
        show: (value) => value,
      },
      { help: `The ${subject} that the rule is for.` },
    ),
  )
}

const rule = section({
  instance: idOption('instance'),
  network: idOption('network'),
  router: idOption('router'),
  project: idOption('project'),
  ...decisions,
})

const mostRules = 5_000

const table = {
  default: section(decisions),
  rules: list(rule, {
    help: 'Each for one instance, network, router or project. What one leaves open, the next more general one decides.',
    default: [],
    max: mostRules,
  }),
  host_names: list(
    text({ help: 'A name.', pattern: /^[\w.:%[\]-]{1,255}$/, expected: 'a host name' }),
    {
      help: 'Names in Host that are taken beside those of the metadata service.',
      default: [],
      max: 1_000,
    },
  ),
} as const

type Decisions = ValueOf<typeof table.default>
type Rule = ValueOf<typeof rule>

const usualSealAfter: Milliseconds = 15 * 60_000

function ruleOf(name: string, given: Decisions): PolicyRule {
  const { hop_limit: hopLimit, seal, seal_after: after = usualSealAfter } = given
  const actions: Partial<Record<Shield, ActionsByClass>> = {}
  for (const shield of shields) {
    const value = given[shield]
    if (value !== undefined) actions[shield] = value
  }
  return {
    name,
    actions,
    hopLimit,
    seal: seal === undefined || seal === 'never' ? seal : { after, from: seal },
  }
}

function subjectsOf(given: Rule): readonly (readonly [RuleSubject, string])[] {
  return ruleSubjects.flatMap((subject) => {
    const id = given[subject]
    return id === undefined ? [] : [[subject, id] as const]
  })
}

function problemsOf(given: {
  readonly default: Decisions
  readonly rules: readonly Rule[]
}): readonly ConfigProblem[] {
  const seen = new Map<string, number>()
  const problems: ConfigProblem[] = sealProblems('default', given.default)
  for (const [index, one] of given.rules.entries()) {
    const path = `rules[${index}]`
    problems.push(...sealProblems(path, one))
    const [subject, another] = subjectsOf(one)
    if (subject === undefined || another !== undefined) {
      problems.push({ path, message: `must name exactly one of ${ruleSubjects.join(', ')}` })
      continue
    }
    const name = subject.join(' ')
    const before = seen.get(name)
    if (before !== undefined) {
      problems.push({ path, message: `is a second rule for ${name}, after rules[${before}]` })
    }
    seen.set(name, index)
  }
  return problems
}

function keptNowhere(given: {
  readonly default: Decisions
  readonly rules: readonly Rule[]
}): readonly ConfigProblem[] {
  const message = 'needs shield.state_file of the agent: after a restart nothing would be sealed'
  const places = [
    ['default', given.default] as const,
    ...given.rules.map((one, index) => [`rules[${index}]`, one] as const),
  ]
  return places.flatMap(([path, { seal }]) =>
    seal === undefined || seal === 'never' ? [] : [{ path: `${path}.seal`, message }],
  )
}

function sealProblems(path: string, { seal, seal_after: after }: Decisions): ConfigProblem[] {
  const isWhole = after === undefined || (seal !== undefined && seal !== 'never')
  return isWhole
    ? []
    : [{ path: `${path}.seal_after`, message: 'must go with seal: fetch or first_request' }]
}

/**
 * Reads a file that holds a policy and nothing else.
 * @param maySeal whether windows are kept over restarts, without which no document can stay sealed
 * @throws {ConfigError} with every problem there is
 */
export function readPolicyFile(file: string, maySeal: boolean): PolicyRules {
  const { config } = loadConfig(table, {
    file,
    environment: {},
    environmentPrefix: 'OVERLAPD_SHIELD_POLICY',
    check: (given) => [...problemsOf(given), ...(maySeal ? [] : keptNowhere(given))],
  })
  const rules: Record<RuleSubject, Map<string, PolicyRule>> = {
    instance: new Map(),
    network: new Map(),
    router: new Map(),
    project: new Map(),
  }
  for (const one of config.rules) {
    const [[subject, id] = ['instance', ''] as const] = subjectsOf(one)
    rules[subject].set(id, ruleOf(`${subject} ${id}`, one))
  }
  return {
    rules,
    byDefault: ruleOf('default', config.default),
    hostNames: new Set(config.host_names.map((name) => name.toLowerCase())),
  }
}

/** The problems of a policy file, for `check`. */
export function policyFileProblems(
  file: string,
  path: string,
  maySeal: boolean,
): readonly ConfigProblem[] {
  return problemsOfFile(path, () => readPolicyFile(file, maySeal))
}
