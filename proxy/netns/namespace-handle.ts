/** Which network namespace is this, whatever name it goes by? */
import { closeSync, fstatSync, openSync, statSync, statfsSync } from 'node:fs'

/** File system type of `/proc/PID/ns/*` and of what is mounted on `/run/netns/*`. @see linux/magic.h */
const nsfsMagic = 0x6e736673

/**
 * A namespace's (device, inode) in text, `4:4026532201`. Unique while anything holds the namespace: a name that is
 * deleted and made again stands for another namespace, and may even get the same inode when nothing held the first one.
 */
export type NamespaceKey = string & { readonly [keyBrand]: true }
declare const keyBrand: unique symbol

/** An open namespace. It keeps the namespace alive in the kernel, so it is closed as soon as the work is done. */
export interface NamespaceHandle {
  readonly fd: number
  readonly key: NamespaceKey
  close(): void
}

/**
 * Opens a namespace by its path.
 * @throws NodeJS.ErrnoException when the path cannot be opened, Error when it is no namespace (a broken mount)
 */
export function openNamespace(path: string): NamespaceHandle {
  const fd = openSync(path, 'r')
  try {
    if (!isNamespaceFile(`/proc/self/fd/${fd}`)) throw new Error(`"${path}" is not a namespace`)
    const { dev, ino } = fstatSync(fd)
    return { fd, key: `${dev}:${ino}` as NamespaceKey, close: () => closeSync(fd) }
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

function isNamespaceFile(path: string): boolean {
  return statfsSync(path).type === nsfsMagic
}

/**
 * Reads the key without holding the namespace.
 * @returns `undefined` when nothing is mounted there: `ip netns add` is half-way, or the mount is broken
 * @throws NodeJS.ErrnoException when there is no such file
 */
export function namespaceKeyOf(path: string): NamespaceKey | undefined {
  const { dev, ino } = statSync(path)
  return isNamespaceFile(path) ? (`${dev}:${ino}` as NamespaceKey) : undefined
}
