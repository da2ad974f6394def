/** Which processes were started for this OpenStack, by whichever program? Each has a variable that names the folder. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import type { Place } from './place.ts'

const name = 'OVERLAPD_OPENSTACK_OWNER'

/** The variable, for the environment of a process that is not to outlive the OpenStack. */
export function ownedBy(place: Place): Readonly<Record<string, string>> {
  return { [name]: place.folder }
}

/** The variable as this process has it itself, for what a test starts. */
export function ownedLikeUs(): Readonly<Record<string, string>> {
  const folder = process.env[name]
  return folder === undefined ? {} : { [name]: folder }
}

/** From now on what this process starts has the variable, unless it is given another environment. */
export function ownWhatWeStart(place: Place): void {
  process.env[name] = place.folder
}

function pidsOf(place: Place): readonly number[] {
  const wanted = `${name}=${place.folder}`
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      if (pid === process.pid) return false
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted)
      } catch {
        // It has ended.
        return false
      }
    })
}

function signal(pid: number, word: NodeJS.Signals): void {
  try {
    process.kill(pid, word)
  } catch {
    // It has ended.
  }
}

const patience: Milliseconds = 5_000
const pause: Milliseconds = 100

/** Ends every process that was started for this OpenStack. @returns how many there were */
export async function endStragglers(place: Place): Promise<number> {
  const found = pidsOf(place)
  const limit = Date.now() + patience
  for (let left = found; left.length > 0; left = pidsOf(place)) {
    const word = Date.now() < limit ? 'SIGTERM' : 'SIGKILL'
    for (const pid of left) signal(pid, word)
    await new Promise((resolve) => {
      setTimeout(resolve, pause)
    })
  }
  return found.length
}
