/** How does a whole proxy get workers that can be turned into hostile ones and back? */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Count } from '../../../lib/runtime/clock.ts'
import type { SeededRandom } from '../../support/random.ts'
import { mutatedMessage } from '../hostile-worker.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
/** Enough that no two workers of a run say the same. */
const lines = 20_000

/** A copy of the built proxy with `hostile-main.mjs` in the place of its worker. */
export class HostileCopy {
  readonly #worker: string
  #counted = 0

  /** @param folder empty, and every user may enter it */
  constructor(folder: string, random: SeededRandom) {
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true })
    copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    this.#worker = join(folder, 'dist/proxy/worker')
    renameSync(this.#path('main.js'), this.#path('real-main.js'))
    copyFileSync(join(import.meta.dirname, 'hostile-main.mjs'), this.#path('main.js'))
    copyFileSync(join(import.meta.dirname, 'hostile-child.py'), this.#path('hostile-child.py'))
    const messages = Array.from({ length: lines }, () => JSON.stringify(mutatedMessage(random)))
    writeFileSync(this.#path('lines.txt'), messages.join('\n'))
    for (const name of ['sent.txt', 'children.txt', 'holding.txt']) {
      writeFileSync(this.#path(name), '')
      chmodSync(this.#path(name), 0o666)
    }
  }

  /** Path of the proxy's program. */
  get program(): string {
    return join(this.#worker, '../main.js')
  }

  /** Workers that start from now on are hostile. @param isQuiet they send nothing but that they are ready */
  turn(isQuiet = false): void {
    if (isQuiet) writeFileSync(this.#path('quiet'), '')
    writeFileSync(this.#path('hostile'), '')
  }

  turnBack(): void {
    rmSync(this.#path('hostile'))
    rmSync(this.#path('quiet'), { force: true })
  }

  /** Children are of another account than the workers, which no supervisor looks at, until `bringUpChildren`. */
  holdBackChildren(): void {
    writeFileSync(this.#path('later'), '')
  }

  bringUpChildren(): void {
    rmSync(this.#path('later'))
  }

  /** Sent since it was last asked. */
  newMessages(): Count {
    const { size } = statSync(this.#path('sent.txt'))
    const more = size - this.#counted
    this.#counted = size
    return more
  }

  /** Children that were handed sockets at some time. */
  holding(): number[] {
    return [...new Set(this.#numbersIn('holding.txt'))]
  }

  /** Children of hostile workers that still run. */
  running(): number[] {
    return this.#numbersIn('children.txt').filter(isChild)
  }

  /** Those of them that can take guests' connections. One whose parent died too early has nothing that others miss. */
  runningWithSockets(): number[] {
    const holding = new Set(this.holding())
    return this.running().filter((pid) => holding.has(pid))
  }

  /** For the end of a test, whatever was found. */
  endChildren(): void {
    for (const pid of this.running()) process.kill(pid, 'SIGKILL')
  }

  #path(name: string): string {
    return join(this.#worker, name)
  }

  #numbersIn(name: string): number[] {
    const text = readFileSync(this.#path(name), 'utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map(Number)
  }
}

/** A process that has ended has no command line. */
function isChild(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('hostile-child.py')
  } catch {
    return false
  }
}
