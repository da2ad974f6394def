/** Which keys do the operator's files hold? */
import { readFileSync, statSync } from 'node:fs'
import type { Bytes, Count } from '../../lib/runtime/clock.ts'
import { Secret } from '../../lib/runtime/secret.ts'

/** 128 bits in hexadecimal. */
const shortest: Count = 32
/** Whoever names a log file by mistake gets an error. */
const longest: Bytes = 4_096

/**
 * Reads each file. One line end at its end is not part of the key.
 * @throws {Error} for a file that cannot be read, is too short, too long, or a copy of another; without any of what is in it
 */
export function readTokenKeys(files: readonly string[]): readonly Secret[] {
  const keys = files.map(readKey)
  for (const [index, key] of keys.entries()) {
    const first = keys.findIndex((one) => one.reveal() === key.reveal())
    if (first < index) throw new Error(`"${files[index]}" holds the key of "${files[first]}"`)
  }
  return keys
}

function readKey(file: string): Secret {
  const status = statSync(file)
  if (!status.isFile() || status.size > longest) {
    throw new Error(`"${file}" is not a file of at most ${longest} bytes`)
  }
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8).padStart(4, '0')
    throw new Error(`"${file}" can be opened by others than its owner (mode ${mode})`)
  }
  const text = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  if (text.length < shortest) {
    throw new Error(`"${file}" holds fewer than ${shortest} characters`)
  }
  return new Secret(text)
}
