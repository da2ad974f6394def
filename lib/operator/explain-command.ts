import { AdminUnreachableError, askAdminJson } from '../http/admin-client.ts'
import { isMapping } from '../config/entry.ts'
import { parseIpAddress } from '../identity/ip-address.ts'
import { parseMacAddress } from '../identity/mac-address.ts'
import { isReasonCode, reasonRow } from '../runtime/reason-codes.ts'
import { terminalText } from '../observe/text-table.ts'
import { adminAddress, adminOption } from '../cli/admin-sockets.ts'
import type { Daemon } from '../config/defaults.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../cli/command.ts'
import { readExplanation, type ExplainStep, type Explanation } from './explanation.ts'
import { shownValue } from './shown-value.ts'

/** What to ask the agent: the query of `/explain`. @throws {UsageError} */
function queryOf(call: CommandCall): URLSearchParams {
  const { options } = call
  const given = ['router', 'network', 'request'].filter((name) => options.text(name) !== undefined)
  const [by] = given
  if (by === undefined || given.length > 1) {
    throw new UsageError('give exactly one of --router, --network and --request')
  }
  const query = new URLSearchParams({ [by]: options.text(by) ?? '' })
  const ip = options.text('ip')
  const mac = options.text('mac')
  const ingressPort = options.text('ingress-port')
  if (by === 'request') {
    if (ip !== undefined || mac !== undefined || ingressPort !== undefined) {
      throw new UsageError(
        '--request says it all; --ip, --mac and --ingress-port go with --router or --network',
      )
    }
    return query
  }
  if (ingressPort !== undefined) {
    if (by !== 'router') throw new UsageError('--ingress-port goes with --router')
    query.set('ingress_port', ingressPort)
  }
  if (ip === undefined) throw new UsageError(`--${by} needs --ip`)
  if (parseIpAddress(ip) === undefined)
    throw new UsageError(`--ip ${JSON.stringify(ip)} is no IP address`)
  query.set('ip', ip)
  if (mac !== undefined) {
    if (parseMacAddress(mac) === undefined)
      throw new UsageError(`--mac ${JSON.stringify(mac)} is no MAC address`)
    query.set('mac', mac)
  }
  return query
}

/** Of ports a step names the ids; the verdict has the rest. */
function stepText(detail: ExplainStep['detail']): string {
  const brief = Object.entries(detail).map(([name, value]): [string, unknown] => {
    const isList = Array.isArray(value) && value.length > 0 && value.every(isMapping)
    return [name, isList ? value.map((one) => one['portId'] ?? one) : value]
  })
  return shownValue(Object.fromEntries(brief))
}

/** One line, or one for each thing of a list. */
function verdictLines(name: string, value: unknown): readonly string[] {
  const shownName = terminalText(name)
  if (!Array.isArray(value) || value.length === 0 || !value.every(isMapping)) {
    return [`  ${shownName}: ${shownValue(value, name)}`]
  }
  return [`  ${shownName}:`, ...value.map((one) => `    ${shownValue(one)}`)]
}

/** The reason in a verdict, where it has one that we know. */
function reasonOf({ verdict }: Explanation): string | undefined {
  const reason = verdict['reason']
  return typeof reason === 'string' ? reason : undefined
}

/** Steps, verdict and advice, for a terminal. */
function explanationText(explanation: Explanation): string {
  const steps = explanation.steps.map((step, index) =>
    `${String(index + 1).padStart(3)}  ${`${step.ms.toFixed(2)} ms`.padStart(11)}  ${terminalText(step.step)}  ${stepText(step.detail)}`.trimEnd(),
  )
  const { kind, evidence, ...rest } = explanation.verdict
  const said = isMapping(evidence) ? { ...rest, ...evidence } : rest
  const lines = [
    ...steps,
    '',
    `verdict: ${typeof kind === 'string' ? terminalText(kind) : 'unknown'}`,
  ]
  for (const [name, value] of Object.entries(said)) lines.push(...verdictLines(name, value))
  const reason = reasonOf(explanation)
  if (isReasonCode(reason)) {
    const { status, publicText, operatorAction } = reasonRow(reason)
    lines.push(`  the guest gets: ${status} ${publicText}`, `  what to do: ${operatorAction}`)
  }
  return `${lines.join('\n')}\n`
}

/** 0 found, 1 refused, 2 when the sources behind the agent could not be asked. */
function exitCodeOf(explanation: Explanation): number {
  if (explanation.verdict['kind'] === 'found') return 0
  const reason = reasonOf(explanation)
  return isReasonCode(reason) && reasonRow(reason).status >= 500 ? 2 : 1
}

const exitCodes: NonNullable<CommandSpec['exitCodes']> = [
  [0, 'found: the request belongs to the instance named'],
  [1, 'refused: a guest gets an error; the output says which and what to do'],
  [2, 'could not ask, or what was asked could not ask its sources, or nobody knows the request'],
]

/** `explain`: why did a guest get what it got? */
export function explainCommand(): CommandSpec {
  return {
    name: 'explain',
    summary: 'show step by step which instance a request belongs to, and why',
    description: `Asks the agent to resolve an address exactly as it does for a guest, and prints each step it took: which networks,
which ports, what agreed and what did not. Or finds a past request by the id that the guest and the log have. One that a worker of
this host sent straight to compute is known to the proxy, which is asked when the agent does not know the id.`,
    options: [
      { flags: '--router <id>', help: 'the router whose namespace the request came through' },
      { flags: '--network <id>', help: 'or the network' },
      { flags: '--ip <address>', help: "the guest's address there" },
      { flags: '--mac <address>', help: "the guest's MAC address, where known" },
      {
        flags: '--ingress-port <id>',
        help: "the router's port that the request came in through, as in the name of its interface (qr-…), or other",
      },
      { flags: '--request <id>', help: 'or the id of a request that was answered: X-Request-ID' },
      adminOption('agent'),
      adminOption('proxy'),
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['overlapd explain --router 5b2e… --ip 10.0.0.10', 'who is that?'],
      [
        'overlapd explain --network 91c0… --ip fe80::1 --mac fa:16:3e:00:00:10',
        'link-local needs the MAC',
      ],
      ['overlapd explain --request 7f3a…', 'why did that one get a 404?'],
    ],
    exitCodes,
    async run(call) {
      const query = queryOf(call)
      return await explained(call, query, query.has('request') ? ['agent', 'proxy'] : ['agent'])
    },
  }
}

/** `explain` of the proxy: what became of a request that the agent was not asked about? */
export function explainDirectCommand(): CommandSpec {
  return {
    name: 'explain',
    summary: 'show what became of a request that went straight to compute',
    description: `Finds a past request by the id that the guest has, among the latest that the workers of this host sent straight to
compute under a lease. The agent never saw these, and knows all others: overlapd-agent explain.`,
    options: [
      { flags: '--request <id>', help: 'the id of a request that was answered: X-Request-ID' },
      adminOption('proxy'),
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [['overlapd-proxy explain --request 7f3a…', 'whose metadata was that?']],
    exitCodes,
    async run(call) {
      const request = call.options.text('request')
      if (request === undefined) throw new UsageError('give --request')
      return await explained(call, new URLSearchParams({ request }), ['proxy'])
    },
  }
}

/** Asks one daemon after the other until one knows; what the first one says is what counts when none does. */
async function explained(
  call: CommandCall,
  query: URLSearchParams,
  asked: readonly Daemon[],
): Promise<number> {
  let failure: string | undefined
  for (const daemon of asked) {
    const answer = await ask(call, daemon, query)
    if (typeof answer !== 'string') {
      call.terminal.out(
        call.options.flag('json')
          ? `${JSON.stringify(answer.value)}\n`
          : explanationText(answer.explanation),
      )
      return exitCodeOf(answer.explanation)
    }
    failure ??= answer
  }
  call.terminal.error(`${failure ?? 'Nobody was asked'}\n`)
  return 2
}

/** @returns why there is no explanation, in words, when there is none */
async function ask(
  call: CommandCall,
  daemon: Daemon,
  query: URLSearchParams,
): Promise<{ readonly value: unknown; readonly explanation: Explanation } | string> {
  try {
    const path = `/explain?${query.toString()}`
    const { value } = await askAdminJson(adminAddress(daemon, call), path, { timeLimit: 30_000 })
    const explanation = readExplanation(value)
    if (explanation !== undefined) return { value, explanation }
    const isSaid = isMapping(value) && typeof value['message'] === 'string'
    const why = isSaid ? String(value['message']) : 'no explanation'
    return `The ${daemon} answered: ${terminalText(why)}`
  } catch (thrown) {
    if (thrown instanceof AdminUnreachableError) return thrown.message
    throw thrown
  }
}
