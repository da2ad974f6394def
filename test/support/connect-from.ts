import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { parseIpAddress, type IpAddress } from '../../lib/identity/ip-address.ts'
import {
  bindSocket,
  connectSocket,
  linux,
  openSocket,
  setSocketOption,
} from '../../lib/linux/libc.ts'
import { openNamespace, type NamespaceHandle } from '../../proxy/netns/namespace-handle.ts'
import { socketAddress } from '../../proxy/linux/socket-address.ts'
import { openWindow, type NamespaceWindow } from '../../proxy/netns/window.ts'

/** Connects from inside many guests' namespaces out of one process: thousands of guests need no thousand programs. */
export class GuestSockets {
  readonly #window: NamespaceWindow
  readonly #handles = new Map<string, NamespaceHandle>()

  private constructor(window: NamespaceWindow) {
    this.#window = window
  }

  static async open(): Promise<GuestSockets> {
    return new GuestSockets(await openWindow())
  }

  /**
   * Begins a connection from a namespace under /run/netns. Refusals and time-outs come as `error` events, as usual.
   * @param interfaceIndex of the guest's interface, for link-local IPv6 destinations
   * @param from one of the guest's addresses, where it is not the kernel's choice
   */
  connect(netns: string, host: string, tcpPort: number, interfaceIndex = 0, from?: string): Socket {
    const { family, bytes } = socketAddress(parsed(host), tcpPort, interfaceIndex)
    const fd = this.#window.run(this.#handleOf(netns), () => {
      const opened = openSocket(family, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
      try {
        if (from !== undefined) {
          bindSocket(opened, socketAddress(parsed(from), 0, interfaceIndex).bytes)
        }
        connectSocket(opened, bytes)
      } catch (cause) {
        closeSync(opened)
        throw cause
      }
      return opened
    })
    // Node polls a descriptor it is given, so a connect under way shows as writable when it is done.
    setSocketOption(fd, linux.IPPROTO_TCP, tcpNoDelay, 1)
    return new Socket({ fd, readable: true, writable: true })
  }

  close(): void {
    for (const handle of this.#handles.values()) handle.close()
    this.#handles.clear()
    this.#window.close()
  }

  #handleOf(netns: string): NamespaceHandle {
    const known = this.#handles.get(netns)
    if (known !== undefined) return known
    const opened = openNamespace(`/run/netns/${netns}`)
    this.#handles.set(netns, opened)
    return opened
  }
}

function parsed(text: string): IpAddress {
  const address = parseIpAddress(text)
  if (address === undefined) throw new TypeError(`"${text}" is no address`)
  return address
}

/** @see tcp(7) */
const tcpNoDelay = 1
