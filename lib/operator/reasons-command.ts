import { jsonLine } from '../cli/json-output.ts'
import {
  isReasonCode,
  reasonCodes,
  reasonRow,
  type Fault,
  type ReasonCode,
} from '../runtime/reason-codes.ts'
import { closest } from '../config/suggestion.ts'
import { textTable } from '../observe/text-table.ts'
import { findingCodes } from './host-codes.ts'
import { UsageError, type CommandSpec } from '../cli/command.ts'

function allCodes(): readonly ReasonCode[] {
  return Object.keys(reasonCodes).filter(isReasonCode)
}

type FindingCode = keyof typeof findingCodes

function isFindingCode(text: string): text is FindingCode {
  return Object.hasOwn(findingCodes, text)
}

function allFindings(): readonly FindingCode[] {
  return Object.keys(findingCodes).filter(isFindingCode)
}

/** Everything about one code of health, doctor or audit, for a terminal. */
function findingText(code: FindingCode): string {
  const { level, effect, remedy } = findingCodes[code]
  return `${code}
  level          ${level}
  for guests     ${effect}
  what to do     ${remedy}
`
}

/** Everything about one code, for a terminal. */
export function reasonText(code: ReasonCode): string {
  const row = reasonRow(code)
  const retry = row.retryAfter === undefined ? 'does not help' : `after ${row.retryAfter} s`
  return `${code}
  status         ${row.status}
  guest reads    ${row.publicText}
  trying again   ${retry}
  who must act   ${row.fault}
  logged as      ${row.logLevel}
  what to do     ${row.operatorAction}
`
}

const faultWords: Readonly<Record<Fault, string>> = {
  guest: 'The guest behaves unusually. Many guests at once point to another cause.',
  proxy:
    'The proxy in front of the agent sends invalid requests, or another program writes to its socket.',
  directory:
    'The port directory reports it, or could not be queried: Neutron, RabbitMQ, OVN or the file.',
  compute: 'The compute metadata API (Nova) is away, slow or broken.',
  config: 'The two daemons do not reach each other, or one is being restarted.',
  bug: 'A defect of overlapd, or of a program that answers in its place.',
}

/** The page of the error reference, as `overlapd reasons --page` prints it and the documents hold it. */
export function reasonsPage(): string {
  const words = Object.entries(faultWords).map(([fault, meaning]) => `| ${fault} | ${meaning} |\n`)
  const table = reasonsMarkdown()
  return `# Error reference

Made by \`overlapd reasons --page\` from the table that the code uses; do not edit it here.

Every request that overlapd itself refuses gets one of these codes: in the header \`X-Overlapd-Reason\`, in the body, in the log of
whoever refused it, in the label \`reason\` of metrics, and in \`overlapd status\`. With it goes a request id. On the host:

\`\`\`sh
overlapd explain --request ID
overlapd reasons no_port
\`\`\`

An answer with status 4xx or 5xx **without** \`X-Overlapd-Reason\` is Nova's own and was passed on as it came.

A service that does not answer is always 503 with \`Retry-After\`, for which cloud-init waits. A 404 means that the directory was
queried and has no such port.

| who must act | what that means |
| --- | --- |
${words.join('')}
${table}
${findingsMarkdown()}`
}

/** What \`health\`, \`doctor\` and \`audit\` report: one Markdown row for each code. */
function findingsMarkdown(): string {
  const rows = allFindings().map((code) => {
    const { level, effect, remedy } = findingCodes[code]
    const cells = [`\`${code}\``, level, effect, remedy]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  })
  return `## What health, doctor and audit report

The codes of \`overlapd health\`, \`overlapd doctor\`, \`overlapd audit\`, of \`problems\` on \`/ready\` and of the label \`code\` of
\`overlapd_health_problems\`. \`fail\`: guests get no answer, or a wrong one, now. \`warn\`: they may, or soon will.

| code | level | what it does to guests | what mends it |
| --- | --- | --- | --- |
${rows.join('')}`
}

/** The error reference: one Markdown row for each code. */
export function reasonsMarkdown(): string {
  const rows = allCodes().map((code) => {
    const { status, publicText, retryAfter, fault, operatorAction } = reasonRow(code)
    const cells = [`\`${code}\``, status, fault, retryAfter ?? '–', publicText, operatorAction]
    return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |\n`
  })
  return [
    '| reason | status | who must act | retry after (s) | the guest reads | what to do |\n',
    '| --- | --- | --- | --- | --- | --- |\n',
    ...rows,
  ].join('')
}

/** `reasons`: what a reason code means and what to do about it. */
export function reasonsCommand(): CommandSpec {
  return {
    name: 'reasons',
    summary:
      'explain the reason codes of refused requests, and the codes of health, doctor and audit',
    description: `Every answer that overlapd refuses carries a reason code, in the X-Overlapd-Reason header, in the body and in the
log. This prints what each one means, what the guest reads and what to do about it.`,
    arguments: [{ name: '[code]', help: 'one code; all of them otherwise' }],
    options: [
      { flags: '--markdown', help: 'print the whole reference as a Markdown table' },
      { flags: '--page', help: 'print the page of the documents that holds it' },
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['overlapd reasons', 'the list'],
      ['overlapd reasons no_port', 'one of them, in full'],
    ],
    exitCodes: [
      [0, 'printed'],
      [2, 'there is no such code'],
    ],
    run({ arguments: [code], options, terminal }) {
      if (code !== undefined && isFindingCode(code)) {
        terminal.out(
          options.flag('json')
            ? `${JSON.stringify({ [code]: findingCodes[code] })}\n`
            : findingText(code),
        )
        return 0
      }
      if (code !== undefined && !isReasonCode(code)) {
        const near = closest(code, [...allCodes(), ...allFindings()])
        const hint = near === undefined ? '' : `; did you mean ${near}?`
        throw new UsageError(`there is no reason code ${JSON.stringify(code)}${hint}`)
      }
      if (options.flag('page')) terminal.out(reasonsPage())
      else if (options.flag('markdown')) terminal.out(reasonsMarkdown())
      else if (options.flag('json')) {
        terminal.out(
          jsonLine({ reasons: code === undefined ? reasonCodes : { [code]: reasonRow(code) } }),
        )
      } else if (code !== undefined) terminal.out(reasonText(code))
      else {
        const rows = allCodes().map((each) => {
          const { status, fault, publicText } = reasonRow(each)
          return [each, String(status), fault, publicText]
        })
        terminal.out(textTable([['REASON', 'STATUS', 'WHO', 'THE GUEST READS'], ...rows]))
      }
      return 0
    },
  }
}
