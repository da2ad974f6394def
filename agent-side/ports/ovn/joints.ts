/** Which rows join a switch to a router? Both sides of each patch, by the datapath that they are on. */
import { isRouterAttachment, isRouterSide } from './port-facts.ts'
import type { PortBinding } from './schema.ts'

/** The rows of one kind on one datapath, by their UUIDs. */
type RowsOf = Map<string, Map<string, PortBinding>>

/** Neutron names the router's side `lrp-` and the id of the port. */
const routerSidePrefix = 'lrp-'

/** The name of the row on the other side of a patch. */
export function peerOf(logicalPort: string): string {
  return logicalPort.startsWith(routerSidePrefix)
    ? logicalPort.slice(routerSidePrefix.length)
    : `${routerSidePrefix}${logicalPort}`
}

/** The rows of a copy that lead from one datapath to another. */
export class Joints {
  readonly #attachments: RowsOf = new Map()
  readonly #routerSides: RowsOf = new Map()
  readonly #byName = new Map<string, PortBinding>()

  /** A row came, changed or went. */
  replace(uuid: string, before: PortBinding | undefined, after: PortBinding | undefined): boolean {
    const wasJoint = before !== undefined && this.#remove(uuid, before)
    const isJoint = after !== undefined && this.#add(uuid, after)
    return wasJoint || isJoint
  }

  /** The switch's side of routers' interfaces on a switch. */
  attachmentsOn(datapath: string): Iterable<PortBinding> {
    return this.#attachments.get(datapath)?.values() ?? []
  }

  /** The router's side of its own interfaces and gateways. */
  routerSidesOn(datapath: string): Iterable<PortBinding> {
    return this.#routerSides.get(datapath)?.values() ?? []
  }

  /** The switch's side of an interface. */
  attachmentNamed(logicalPort: string): PortBinding | undefined {
    return this.#byName.get(logicalPort)
  }

  #add(uuid: string, binding: PortBinding): boolean {
    const rows = this.#rowsLike(binding)
    if (rows === undefined) return false
    const { datapath, logicalPort } = binding
    const known = rows.get(datapath) ?? new Map<string, PortBinding>()
    rows.set(datapath, known.set(uuid, binding))
    if (rows === this.#attachments) this.#byName.set(logicalPort, binding)
    return true
  }

  #remove(uuid: string, binding: PortBinding): boolean {
    const rows = this.#rowsLike(binding)
    if (rows === undefined) return false
    const { datapath, logicalPort } = binding
    const known = rows.get(datapath)
    const held = known?.get(uuid)
    known?.delete(uuid)
    if (known?.size === 0) rows.delete(datapath)
    if (this.#byName.get(logicalPort) === held) this.#byName.delete(logicalPort)
    return true
  }

  #rowsLike(binding: PortBinding): RowsOf | undefined {
    if (isRouterAttachment(binding)) return this.#attachments
    return isRouterSide(binding) ? this.#routerSides : undefined
  }
}
