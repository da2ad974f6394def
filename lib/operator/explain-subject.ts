/** What is a call of `explain` about? */
import { UsageError, type CommandCall } from '../cli/command.ts'
import { parseInstanceId } from '../identity/ids.ts'
import { parseIpAddress } from '../identity/ip-address.ts'
import { parseMacAddress } from '../identity/mac-address.ts'
import type { FoundGuest } from './guest-search.ts'

/** What an operator wants explained: one lookup or request, or whatever guests a search finds. */
export type ExplainSubject =
  | { readonly kind: 'query'; readonly query: URLSearchParams }
  | {
      readonly kind: 'search'
      /** What was searched for, for a sentence. */
      readonly what: string
      readonly isWanted: (guest: FoundGuest) => boolean
    }

const ways = ['router', 'network', 'request', 'instance'] as const

/** @throws {UsageError} */
export function explainSubject(call: CommandCall): ExplainSubject {
  const { options } = call
  const given = ways.filter((name) => options.text(name) !== undefined)
  const [by] = given
  const ip = ipOf(call)
  const mac = macOf(call)
  const ingressPort = options.text('ingressPort')
  if (given.length > 1 || (by === undefined && ip === undefined)) {
    throw new UsageError('give exactly one of --router, --network, --instance, --request, or --ip')
  }
  if (ingressPort !== undefined && by !== 'router') {
    throw new UsageError('--ingress-port goes with --router')
  }
  if ((by === 'request' || by === 'instance') && (ip !== undefined || mac !== undefined)) {
    throw new UsageError(`--${by} is enough; --ip and --mac go with --router or --network`)
  }
  if (by === 'instance') return instanceSearch(options.text(by))
  if (by === undefined) {
    const isWanted = ({ address, macAddress }: FoundGuest): boolean =>
      address === ip && (mac === undefined || macAddress === mac)
    return { kind: 'search', what: [ip, mac].filter(Boolean).join(' '), isWanted }
  }
  const query = new URLSearchParams({ [by]: options.text(by) ?? '' })
  if (by === 'request') return { kind: 'query', query }
  if (ingressPort !== undefined) query.set('ingress_port', ingressPort)
  if (ip === undefined) throw new UsageError(`--${by} needs --ip`)
  query.set('ip', ip)
  if (mac !== undefined) query.set('mac', mac)
  return { kind: 'query', query }
}

function instanceSearch(text: string | undefined): ExplainSubject {
  const instanceId = parseInstanceId(text)
  if (instanceId === undefined) {
    throw new UsageError(`--instance ${JSON.stringify(text)} is no id of an instance`)
  }
  return {
    kind: 'search',
    what: `instance ${instanceId}`,
    isWanted: (guest) => guest.instanceId === instanceId,
  }
}

function ipOf({ options }: CommandCall): string | undefined {
  const text = options.text('ip')
  if (text !== undefined && parseIpAddress(text) === undefined) {
    throw new UsageError(`--ip ${JSON.stringify(text)} is no IP address`)
  }
  return parseIpAddress(text)
}

function macOf({ options }: CommandCall): string | undefined {
  const text = options.text('mac')
  if (text !== undefined && parseMacAddress(text) === undefined) {
    throw new UsageError(`--mac ${JSON.stringify(text)} is no MAC address`)
  }
  return parseMacAddress(text)
}
