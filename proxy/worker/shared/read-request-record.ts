/** What may a worker report of a request? Each field is read as if the guest had written it. */
import { parseIngressPort } from '../../../lib/identity/ingress-port.ts'
import {
  allRead,
  readAmount,
  readCount,
  readFields,
  readList,
  readText,
  readWord,
} from '../../../lib/wire/message-fields.ts'
import { isReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { mostRecentRequests, type RecentRequests, type RequestRecord } from './protocol.ts'

/** The last millisecond that a date can name. */
const endOfTime = 8.64e15
const longestSpan = 1e9
const mostStatus = 999
const mostRequests = 2 ** 50
const longest = { word: 200, text: 1_000 } as const
const optionalWords = ['sourceMac', 'instanceId', 'projectId'] as const

/** @returns `undefined` for what is none */
export function readRequestRecord(value: unknown): RequestRecord | undefined {
  const sent = readFields(value)
  if (sent === undefined) return undefined
  const word = (name: string): string | undefined => readText(sent[name], longest.word)
  const read = allRead({
    requestId: word('requestId'),
    at: readAmount(sent['at'], endOfTime),
    method: word('method'),
    target: readText(sent['target'], longest.text),
    scope: word('scope'),
    sourceIp: word('sourceIp'),
    answeredBy: readWord(sent['answeredBy'], ['agent', 'compute', 'worker', 'nobody']),
    outcome: readWord(sent['outcome'], ['relayed', 'refused', 'cut_off', 'left']),
    status: readCount(sent['status'], mostStatus),
    span: readAmount(sent['span'], longestSpan),
  })
  if (read === undefined) return undefined
  const { reason, upstream } = sent
  if (reason !== undefined && !isReasonCode(reason)) return undefined
  const given = optionalWords.filter((name) => sent[name] !== undefined)
  const words = given.map((name) => [name, word(name)] as const)
  const endpoint = readText(upstream, longest.text)
  const ingressPort = parseIngressPort(sent['ingressPort'])
  if (words.some(([, text]) => text === undefined)) return undefined
  if (upstream !== undefined && endpoint === undefined) return undefined
  if (sent['ingressPort'] !== undefined && ingressPort === undefined) return undefined
  return {
    ...read,
    ...Object.fromEntries(words),
    ...(endpoint !== undefined && { upstream: endpoint }),
    ...(ingressPort !== undefined && { ingressPort }),
    ...(reason !== undefined && { reason }),
  }
}

/** @returns `undefined` for what is none */
export function readRecentRequests(value: unknown): RecentRequests | undefined {
  const { last, missed, records } = readFields(value) ?? {}
  return allRead({
    last: readCount(last, mostRequests),
    missed: readCount(missed, mostRequests),
    records: readList(records, mostRecentRequests, readRequestRecord),
  })
}
