import { statSync } from 'node:fs'

/**
 * Reads files no more often than they change: a long policy takes long to read, and files are looked at every few seconds.
 * @param onRead called with what came of each reading
 * @returns what `read` returned for the files as they are; it throws what `read` threw
 */
export function readOnce<Value>(
  files: readonly string[],
  read: () => Value,
  onRead: (outcome: 'used' | 'refused') => void,
): () => Value {
  let last: { readonly version: string; readonly again: () => Value } | undefined
  return () => {
    const version = files.map(versionOf).join(' ')
    if (last?.version !== version) {
      let again: () => Value
      try {
        const value = read()
        again = () => value
        onRead('used')
      } catch (thrown) {
        again = () => {
          throw thrown
        }
        onRead('refused')
      }
      last = { version, again }
    }
    return last.again()
  }
}

function versionOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
  } catch {
    return 'not there'
  }
}
