/** Whom would each address of a scope be answered as? The real policy decides, for every port that is there. */
import type { AuditFinding } from '../../lib/operator/audit-findings.ts'
import type { ScopeAnswer } from '../../lib/operator/api/agent-api.ts'
import type { DaemonCode } from '../../lib/operator/health.ts'
import type { NetworkId } from '../../lib/identity/ids.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import { scopeText, type Scope } from '../../lib/identity/scope.ts'
import type { Port, RouterInterface } from '../ports/directory/port-directory.ts'
import { decideIdentity, type IdentityRules } from '../resolve/identity-policy.ts'
import { placeOf, type Place } from '../resolve/place.ts'
import type { Verdict } from '../resolve/resolution.ts'

/** A scope that is served, with everything its requests could be about. */
export interface ScopeContents {
  readonly scope: Scope
  readonly networkIds: readonly NetworkId[]
  /** Of a router. Those that name their port determine through which network a guest of theirs comes in. */
  readonly interfaces?: readonly RouterInterface[] | undefined
  readonly ports: readonly Port[]
}

/** What an audit of one scope came to. */
export interface ScopeAudit {
  readonly findings: readonly AuditFinding[]
  readonly answers: readonly ScopeAnswer[]
}

function shown({ portId, macAddress, instanceId, deviceOwner }: Port): string {
  const owner = instanceId === undefined ? (deviceOwner ?? 'no device') : `instance ${instanceId}`
  return `port ${portId} (${owner}, ${macAddress})`
}

function group<Key>(
  ports: readonly Port[],
  keysOf: (port: Port) => Iterable<Key>,
): Map<Key, Port[]> {
  const groups = new Map<Key, Port[]>()
  for (const port of ports) {
    for (const key of keysOf(port)) {
      const known = groups.get(key)
      if (known === undefined) groups.set(key, [port])
      else known.push(port)
    }
  }
  return groups
}

/** Ports of Neutron's own, such as those of routers and DHCP servers, send no requests. */
function isGuest({ deviceOwner, instanceId }: Port): boolean {
  return instanceId !== undefined && deviceOwner?.startsWith('network:') !== true
}

/** Applies the policy to every address of every guest, as if each sent a request now: with its MAC, and without. */
export function auditScope(rules: IdentityRules, contents: ScopeContents): ScopeAudit {
  const audit = new Audit(rules, contents)
  audit.lookAtInterfaces()
  for (const port of contents.ports) audit.look(port)
  return audit
}

class Audit implements ScopeAudit {
  readonly findings: AuditFinding[] = []
  readonly answers: ScopeAnswer[] = []
  readonly #rules: IdentityRules
  readonly #contents: ScopeContents
  readonly #about: string
  readonly #byAddress: ReadonlyMap<IpAddress, readonly Port[]>
  readonly #byMac: ReadonlyMap<MacAddress, readonly Port[]>
  /** Two ports that share an address are one finding. */
  readonly #noted = new Set<string>()

  constructor(rules: IdentityRules, contents: ScopeContents) {
    this.#rules = rules
    this.#contents = contents
    this.#about = scopeText(contents.scope)
    this.#byAddress = group(contents.ports, ({ fixedIps }) => fixedIps)
    this.#byMac = group(contents.ports, ({ macAddress }) => [macAddress])
  }

  lookAtInterfaces(): void {
    for (const { networkId, portId } of this.#contents.interfaces ?? []) {
      if (portId !== undefined) continue
      const what = `the router's port on network ${networkId} is not known`
      this.#find('router_port_unknown', networkId, what)
    }
  }

  look(port: Port): void {
    if (!isGuest(port)) {
      if (port.instanceId === undefined && port.deviceOwner?.startsWith('compute:') === true) {
        this.#find('port_without_instance', port.portId, `${shown(port)} belongs to no instance`)
      }
      return
    }
    const sameMac = this.#byMac.get(port.macAddress) ?? []
    if (sameMac.length > 1) {
      const what = `${port.macAddress} is the MAC of ${sameMac.map(shown).join(' and ')}`
      this.#find('shared_mac', port.macAddress, what)
    }
    for (const address of port.fixedIps) this.#lookAt(port, address)
  }

  #lookAt(port: Port, address: IpAddress): void {
    const verdict = this.#decide(port, address, port.macAddress, this.#placeOf(port))
    this.#note(port, address, verdict)
    if (verdict.kind !== 'found') {
      this.#refused(address, verdict)
      return
    }
    const { instanceId } = verdict.identity
    if (instanceId !== port.instanceId) {
      const what = `${address} of ${shown(port)} would be answered as instance ${instanceId}`
      this.#find('wrong_instance', address, what)
    }
    // As foreign proxies send requests, which know neither.
    const anywhere = placeOf(this.#contents.networkIds)
    if (this.#decide(port, address, undefined, anywhere).kind === 'found') return
    this.#find('ambiguous_without_mac', address, this.#ownersText(address))
  }

  /** Where a guest with this port comes in, as our own proxy reports it. */
  #placeOf({ networkId }: Port): Place {
    const { networkIds, interfaces = [] } = this.#contents
    const isReported = interfaces.some(
      (one) => one.networkId === networkId && one.portId !== undefined,
    )
    if (!isReported) return placeOf(networkIds)
    const elsewhere = networkIds.filter((one) => one !== networkId)
    return { onLink: [networkId], elsewhere, behind: [] }
  }

  #decide(
    port: Port,
    sourceIp: IpAddress,
    sourceMac: MacAddress | undefined,
    place: Place,
  ): Verdict {
    const { scope } = this.#contents
    const byMac = sourceMac === undefined ? [] : (this.#byMac.get(port.macAddress) ?? [])
    const candidates = [...(this.#byAddress.get(sourceIp) ?? []), ...byMac]
    return decideIdentity(this.#rules, { scope, sourceIp, sourceMac }, place, candidates)
  }

  #refused(address: IpAddress, verdict: Exclude<Verdict, { kind: 'found' }>): void {
    if (verdict.reason === 'port_without_project') {
      this.#find('port_without_project', address, `${address}: ${verdict.evidence.why}`)
    } else {
      this.#find('ambiguous_address', address, this.#ownersText(address))
    }
  }

  #ownersText(address: IpAddress): string {
    const owners = this.#byAddress.get(address) ?? []
    return `${address} belongs to ${owners.map(shown).join(' and ')}`
  }

  #note(port: Port, address: IpAddress, verdict: Verdict): void {
    this.answers.push({
      scope: this.#about,
      networkId: port.networkId,
      address,
      macAddress: port.macAddress,
      ...(verdict.kind === 'found'
        ? { instanceId: verdict.identity.instanceId }
        : { reason: verdict.reason }),
    })
  }

  #find(code: DaemonCode, of: string, what: string): void {
    const text = `${code} ${of}`
    if (this.#noted.has(text)) return
    this.#noted.add(text)
    this.findings.push({ code, about: this.#about, what })
  }
}
