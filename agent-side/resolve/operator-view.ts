/** What an operator sees of ports and verdicts, in `explain` and in the log. */
import type { Port } from '../ports/directory/port-directory.ts'
import { networksOfPlace, type Place } from './place.ts'
import type { LookupKey, Verdict } from './resolution.ts'

/** What of a port an operator sees in `explain`. */
export function shownPort(port: Port): Readonly<Record<string, unknown>> {
  const { portId, networkId, macAddress, fixedIps, instanceId, projectId, deviceOwner } = port
  return { portId, networkId, macAddress, fixedIps, instanceId, projectId, deviceOwner }
}

/** Which networks a request may have come from, for `explain`. */
export function shownPlace(
  { ingressPort }: LookupKey,
  place: Place,
): Readonly<Record<string, unknown>> {
  const networkIds = networksOfPlace(place)
  if (ingressPort === undefined) return { networkIds }
  const [ingressNetworkId = 'none'] = place.onLink
  return { networkIds, ingressPort, ingressNetworkId }
}

/** A verdict for `explain` and for the log, with ports by id. */
export function shownVerdict(verdict: Verdict): Readonly<Record<string, unknown>> {
  const { evidence } = verdict
  const shown = {
    why: evidence.why,
    networkIds: evidence.networkIds,
    ...(evidence.ingressNetworkId !== undefined && { ingressNetworkId: evidence.ingressNetworkId }),
    byAddress: evidence.byAddress.map((port) => port.portId),
    byMac: evidence.byMac.map((port) => port.portId),
    ...(evidence.further && { further: evidence.further.map((port) => port.portId) }),
    macAddress: evidence.macAddress,
  }
  return verdict.kind === 'found'
    ? { kind: verdict.kind, basis: verdict.basis, ...verdict.identity, ...shown }
    : { kind: verdict.kind, reason: verdict.reason, ...shown }
}
