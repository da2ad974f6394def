import { statSync } from 'node:fs'

/** Files, and what came of reading them. */
export interface ReadFiles<Value> {
  /** @returns what `read` returned for the files as they are. @throws what `read` threw */
  read(): Value
  /**
   * After a failure the next reading opens the files in any case: what stood in its way may be gone without a change of the file. What was
   * read well stays, or keys that are in no file would be made anew and all tokens with them.
   */
  forgetFailure(): void
}

/**
 * Reads files no more often than they change: a long policy takes long to read, and files are looked at every few seconds.
 * @param onRead called with what came of each reading
 */
export function readOnce<Value>(
  files: readonly string[],
  read: () => Value,
  onRead: (outcome: 'used' | 'refused') => void,
): ReadFiles<Value> {
  let last:
    | { readonly version: string; readonly isRefused: boolean; readonly again: () => Value }
    | undefined
  return {
    read() {
      const version = files.map(versionOf).join(' ')
      if (last?.version !== version) {
        let again: () => Value
        let isRefused = false
        try {
          const value = read()
          again = () => value
        } catch (thrown) {
          isRefused = true
          again = () => {
            throw thrown
          }
        }
        onRead(isRefused ? 'refused' : 'used')
        last = { version, isRefused, again }
      }
      return last.again()
    },
    forgetFailure() {
      if (last?.isRefused === true) last = undefined
    },
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
