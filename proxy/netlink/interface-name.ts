/** What is this interface of the current namespace called? System calls only, so it may run inside a window. */
import { callLibc } from '../../lib/linux/libc.ts'

/** IFNAMSIZ, the terminating zero included. */
const interfaceNameBytes = 16

/** @returns `undefined` when the current namespace has no interface of that name */
export function interfaceIndexOf(name: string): number | undefined {
  const index = callLibc('if_nametoindex', name)
  return index === 0 ? undefined : index
}

/** @returns `undefined` when the current namespace has no interface of that index */
export function interfaceNameOf(index: number): string | undefined {
  const name = Buffer.alloc(interfaceNameBytes)
  if (callLibc('if_indextoname', index, name) === 0) return undefined
  return name.toString('latin1', 0, name.indexOf(0))
}
