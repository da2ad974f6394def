import { SouthboundCopy } from '../../agent-side/ports/ovn/southbound-copy.ts'
import type {
  Port,
  PortDirectory,
  PortQuery,
  RouterInterface,
} from '../../agent-side/ports/directory/port-directory.ts'
import { StaticPortIndex } from '../../agent-side/ports/static/port-index.ts'
import type { LookupKey } from '../../agent-side/resolve/resolution.ts'
import { systemClock, type Count } from '../../lib/runtime/clock.ts'
import type { RouterId } from '../../lib/identity/ids.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
  type TopologyPort,
} from '../conformance/topology.ts'
import { southboundRows } from '../support/ovn-rows.ts'

/** Whose way to hold ports: the copy of OVN's southbound database, or the index of the file of ports. */
export type HeldKind = 'ovn' | 'static'

const portsPerNetwork = 200

/** The port of that number, with two addresses, and what a request of its guest says. All networks have the same addresses. */
export function numberedPort(number: Count): {
  readonly port: Port & TopologyPort
  readonly lookupKey: LookupKey & { readonly scope: { readonly kind: 'router' } }
} {
  const network = Math.floor(number / portsPerNetwork)
  const host = 10 + (number % portsPerNetwork)
  const address = ip(`10.0.0.${host}`)
  const port = {
    portId: portId(number),
    networkId: networkId(network),
    macAddress: mac(number),
    fixedIps: [address, ip(`fd00::${host}`)],
    instanceId: instanceId(number),
    projectId: projectId(network),
    deviceOwner: 'compute:nova',
  }
  const scope = { kind: 'router', routerId: routerId(network) } as const
  return { port, lookupKey: { scope, sourceIp: address, sourceMac: port.macAddress } }
}

function* numbers(count: Count): Generator<number, void, void> {
  for (let number = 0; number < count; number += 1) yield number
}

function* portsUpTo(count: Count): Generator<Port, void, void> {
  for (const number of numbers(count)) yield numberedPort(number).port
}

interface Held {
  interfacesOfRouter(routerId: RouterId): readonly RouterInterface[]
  find(query: PortQuery): readonly Port[]
}

function holdAsFile(count: Count): Held {
  const index = new StaticPortIndex(portsUpTo(count))
  const networks = new Map(
    [...numbers(Math.ceil(count / portsPerNetwork))].map((number) => [
      routerId(number),
      [{ networkId: networkId(number), portId: portId(0x800000 + number) }],
    ]),
  )
  return {
    interfacesOfRouter: (router) => networks.get(router) ?? [],
    find: (query) => index.find(query),
  }
}

/** Row by row, as a first copy comes; each network with its router and its ports. */
function holdAsOvn(count: Count): Held {
  const copy = new SouthboundCopy()
  for (const network of numbers(Math.ceil(count / portsPerNetwork))) {
    const first = network * portsPerNetwork
    const here = Math.min(portsPerNetwork, count - first)
    const rows = southboundRows({
      networks: [{ networkId: networkId(network), projectId: projectId(network) }],
      routers: [
        {
          routerId: routerId(network),
          projectId: projectId(network),
          ports: [
            {
              portId: portId(0x800000 + network),
              networkId: networkId(network),
              macAddress: mac(0x800000 + network),
              fixedIps: [ip('10.0.0.1')],
              deviceOwner: 'network:router_interface',
            },
          ],
        },
      ],
      ports: [...numbers(here)].map((number) => numberedPort(first + number).port),
    })
    for (const [table, ofTable] of Object.entries(rows)) {
      for (const [uuid, row] of Object.entries(ofTable)) {
        copy.apply({ kind: 'put', table, uuid, row })
      }
    }
  }
  return copy
}

/** A directory that holds so many ports in memory and answers at once. */
export function holdPorts(kind: HeldKind, count: Count): PortDirectory {
  const held = kind === 'ovn' ? holdAsOvn(count) : holdAsFile(count)
  return {
    kind,
    start: async () => undefined,
    close: async () => undefined,
    readiness: () => ({ ready: true, detail: '' }),
    interfacesOfRouter: (router) => ({
      interfaces: held.interfacesOfRouter(router),
      asOf: systemClock.now(),
    }),
    findPorts: (query) => ({ ports: held.find(query), asOf: systemClock.now() }),
    onChange: () => () => undefined,
  }
}
