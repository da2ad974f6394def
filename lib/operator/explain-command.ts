import { jsonLine } from '../cli/json-output.ts'
import { AdminUnreachableError, requestAdminJson } from '../http/admin-client.ts'
import { isMapping } from '../runtime/mapping.ts'
import { isReasonCode, reasonRow } from '../runtime/reason-codes.ts'
import { terminalText } from '../observe/text-table.ts'
import { adminAddress, adminOption } from '../cli/admin-sockets.ts'
import type { Daemon } from '../config/defaults.ts'
import type { Count } from '../runtime/clock.ts'
import { UsageError, type CommandCall, type CommandSpec } from '../cli/command.ts'
import { doctorHint } from '../cli/failure.ts'
import { explainSubject, type ExplainSubject } from './explain-subject.ts'
import { readExplanation, type Explanation } from './explanation.ts'
import { explanationText, reasonOf } from './explanation-text.ts'
import { searchGuests, type FoundGuest } from './guest-search.ts'

/** 0 found, 1 refused, 2 when the sources behind the agent could not be queried. */
function exitCodeOf(explanation: Explanation): number {
  if (explanation.verdict['kind'] === 'found') return 0
  const reason = reasonOf(explanation)
  return isReasonCode(reason) && reasonRow(reason).status >= 500 ? 2 : 1
}

const exitCodes: NonNullable<CommandSpec['exitCodes']> = [
  [0, 'found: the request belongs to the instance named'],
  [1, 'refused: a guest gets an error; the output names it and what to do'],
  [
    2,
    'could not query, or what was queried could not query its sources, or the request is unknown',
  ],
]

/** `explain`: why did a guest get what it got? */
export function explainCommand(program: string): CommandSpec {
  return {
    name: 'explain',
    summary: 'show step by step which instance a request belongs to, and why',
    description: `Has the agent resolve an address exactly as it does for a guest, and prints each step it took: which networks,
which ports, what agreed and what did not. With --instance, or with --ip alone, looks through all scopes that this host serves and
explains each guest that it finds. Or finds a past request by the id that the guest and the log have. One that a worker of this
host sent straight to compute is known to the proxy, which is queried when the agent does not know the id.`,
    options: [
      { flags: '--router <id>', help: 'the router whose namespace the request came through' },
      { flags: '--network <id>', help: 'or the network' },
      { flags: '--instance <id>', help: 'or an instance, with each of its addresses on this host' },
      {
        flags: '--ip <address>',
        help: "the guest's address there, or alone: in every scope of this host",
      },
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
      [`${program} explain --router 5b2e… --ip 10.0.0.10`, 'who is that?'],
      [`${program} explain --ip 10.0.0.10`, 'who has that address on this host?'],
      [`${program} explain --instance 6c4d…`, 'what does that instance get?'],
      [
        `${program} explain --network 91c0… --ip fe80::1 --mac fa:16:3e:00:00:10`,
        'link-local needs the MAC',
      ],
      [`${program} explain --request 7f3a…`, 'why did that one get a 404?'],
    ],
    exitCodes,
    async run(call) {
      const subject = explainSubject(call)
      if (subject.kind === 'search') return await explainedGuests(call, subject)
      const { query } = subject
      return await explained(call, query, query.has('request') ? ['agent', 'proxy'] : ['agent'])
    },
  }
}

/** `explain` of the proxy: what became of a request, as far as its worker knows? */
export function explainRequestCommand(): CommandSpec {
  return {
    name: 'explain',
    summary: 'show what became of a request, as far as its worker knows',
    description: `Finds a past request by the id that the guest has, among the latest of the workers of this host: those that they
refused by themselves, those that went straight to compute under a lease, and those that the agent answered, about which
overlapd-agent explain shows more.`,
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

/** Longer lists are for whoever narrows the search. */
const mostExplained: Count = 50

/** Explains each guest that a search finds, one under the other. */
async function explainedGuests(
  call: CommandCall,
  { what, isWanted }: ExplainSubject & { readonly kind: 'search' },
): Promise<number> {
  const { terminal, options } = call
  const search = await searchGuests(call, isWanted).catch(whyUnreachable)
  if (typeof search === 'string') return couldNotQuery(call, search)
  const { guests, scopes } = search
  const answers: { readonly guest: FoundGuest; readonly answer: Answer }[] = []
  for (const guest of guests.slice(0, mostExplained)) {
    const answer = await explanationFrom(call, 'agent', queryOf(guest))
    if (typeof answer === 'string') return couldNotQuery(call, answer)
    answers.push({ guest, answer })
  }
  if (options.flag('json')) {
    const explained = answers.map(({ guest, answer }) => ({ ...guest, explanation: answer.value }))
    terminal.out(jsonLine({ scopes, found: guests.length, guests: explained }))
  } else {
    for (const { guest, answer } of answers) {
      const { scope, address, macAddress } = guest
      const heading = terminalText(`${scope} ${address} ${macAddress}`)
      terminal.out(`${heading}\n${explanationText(answer.explanation)}\n`)
    }
    const more = guests.length - answers.length
    const left = more > 0 ? `, ${more} of them not shown` : ''
    terminal.out(`${guests.length} found for ${what} in ${scopes} scopes${left}.\n`)
  }
  const codes = answers.map(({ answer }) => exitCodeOf(answer.explanation))
  return guests.length === 0 ? 1 : Math.max(...codes)
}

function queryOf({ scope, address, macAddress }: FoundGuest): URLSearchParams {
  const [kind = '', id = ''] = scope.split('/')
  return new URLSearchParams({
    [kind]: id,
    ip: address,
    ...(macAddress !== '' && { mac: macAddress }),
  })
}

function couldNotQuery(call: CommandCall, why: string): number {
  call.terminal.error(`${why}\n${doctorHint}`)
  return 2
}

/** Queries one daemon after the other until one knows; the answer of the first one counts when none does. */
async function explained(
  call: CommandCall,
  query: URLSearchParams,
  queried: readonly Daemon[],
): Promise<number> {
  let failure: string | undefined
  for (const daemon of queried) {
    const answer = await explanationFrom(call, daemon, query)
    if (typeof answer !== 'string') {
      call.terminal.out(
        call.options.flag('json') ? jsonLine(answer.value) : explanationText(answer.explanation),
      )
      return exitCodeOf(answer.explanation)
    }
    failure ??= answer
  }
  return couldNotQuery(call, failure ?? 'No daemon was queried')
}

interface Answer {
  /** As the daemon sent it. */
  readonly value: object
  readonly explanation: Explanation
}

/** @returns why there is no explanation, in words, when there is none */
async function explanationFrom(
  call: CommandCall,
  daemon: Daemon,
  query: URLSearchParams,
): Promise<Answer | string> {
  try {
    const path = `/explain?${query.toString()}`
    const { value } = await requestAdminJson(adminAddress(daemon, call), path, {
      timeLimit: 30_000,
    })
    const explanation = readExplanation(value)
    if (explanation !== undefined && isMapping(value)) return { value, explanation }
    const hasMessage = isMapping(value) && typeof value['message'] === 'string'
    const why = hasMessage ? String(value['message']) : 'no explanation'
    return `The ${daemon} answered: ${terminalText(why)}`
  } catch (thrown) {
    return whyUnreachable(thrown)
  }
}

function whyUnreachable(thrown: unknown): string {
  if (thrown instanceof AdminUnreachableError) return thrown.message
  throw thrown
}
