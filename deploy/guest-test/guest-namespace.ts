/** Which namespace of this host is a guest's own? Virtual machines have none; containers do. */
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import { isErrno } from '../../lib/linux/libc.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { scanNamespaces } from '../../proxy/netns/discover.ts'
import type { NamespaceWindow } from '../../proxy/netns/window.ts'

/** What a namespace has on its interfaces. */
export interface NamespaceAddresses {
  readonly addresses: ReadonlySet<string>
  readonly macAddresses: ReadonlySet<string>
}

/** @throws {SystemCallError} when it cannot be entered */
export function addressesIn(window: NamespaceWindow, path: string): NamespaceAddresses {
  const handle = openNamespace(path)
  try {
    // One netlink question by the calling thread, so its answer is of the namespace that the thread is in.
    const interfaces = window.run(handle, () => networkInterfaces())
    const all = Object.values(interfaces).flatMap((each): NetworkInterfaceInfo[] => each ?? [])
    const own = all.filter(({ internal }) => !internal)
    return {
      addresses: new Set(own.map(({ address }) => address)),
      macAddresses: new Set(own.map(({ mac }) => mac)),
    }
  } finally {
    handle.close()
  }
}

/** @returns the path of the one namespace that has both; `undefined` where none has, or several: networks overlap */
export function findGuestNamespace(
  window: NamespaceWindow,
  folder: string,
  guest: { readonly address: string; readonly macAddress: string },
): string | undefined {
  const own = scanNamespaces(folder, []).found.filter(({ path }) => {
    try {
      const { addresses, macAddresses } = addressesIn(window, path)
      return addresses.has(guest.address) && macAddresses.has(guest.macAddress)
    } catch (cause) {
      if (isErrno(cause, 'EPERM')) throw cause
      // Namespaces come and go while one looks.
      return false
    }
  })
  return own.length === 1 ? own[0]?.path : undefined
}
