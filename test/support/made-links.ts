/**
 * How do devices come into a namespace as they do on real hosts? Open vSwitch makes a port on the host and Neutron's agents move it
 * in. The port keeps its index, and neither index nor name exists in the namespace of the proxy's workers afterwards.
 */
import { randomUUID } from 'node:crypto'
import { newIndex } from '../../deploy/demo/network-setup.ts'
import { deleteNetns, ipBatch, uniqueName } from './ip-command.ts'

/** One end of a cable. */
export interface CableEnd {
  readonly netns: string
  readonly device: string
  /** Made up by the kernel when absent. */
  readonly mac?: string
}

/** `host` is the way of Open vSwitch's ports; `inside` makes both ends where they stay, as plain `ip link add … netns …` does. */
export type LinksMade = 'host' | 'inside'

/** A device's name as Neutron gives it: its kind and the first eleven characters of a port's id. */
export function neutronDevice(kind: 'qr-' | 'qg-' | 'tap', portId: string = randomUUID()): string {
  return `${kind}${portId.slice(0, 11)}`
}

/** The router's own port behind a device, as the `static` directory reads it under `ports`. */
export function routerPortBehind(device: string, router: string, network: string): unknown {
  const id = `${device.slice('qr-'.length)}${randomUUID().slice(11)}`
  return { id, router, network, mac: 'fa:16:3e:ff:00:01' }
}

/** Lays cables. All devices are down afterwards. */
export function layCables(
  cables: readonly (readonly [CableEnd, CableEnd])[],
  made: LinksMade = 'host',
): void {
  if (cables.length === 0) return
  if (made === 'inside') {
    ipBatch(
      cables.map(([one, other]) => `link add ${endText(one)} type veth peer ${endText(other)}`),
    )
    return
  }
  const host = uniqueName('ovt-host-')
  ipBatch([`netns add ${host}`])
  try {
    const ends = cables.map(([one, other], number) => [
      { ...one, made: `a${number}` },
      { ...other, made: `b${number}` },
    ])
    ipBatch(
      ends.map(
        ([one, other]) =>
          `link add ${one?.made} index ${newIndex()} type veth peer name ${other?.made} index ${newIndex()}`,
      ),
      host,
    )
    ipBatch(
      ends
        .flat()
        .map(
          ({ netns, device, mac, made }) =>
            `link set ${made} netns ${netns} name ${device}${macText(mac)}`,
        ),
      host,
    )
  } finally {
    deleteNetns(host)
  }
}

function endText({ netns, device, mac }: CableEnd): string {
  return `name ${device}${macText(mac)} netns ${netns}`
}

function macText(mac: string | undefined): string {
  return mac === undefined ? '' : ` address ${mac}`
}
