/** How does what the shield knows survive a restart of the agent? One JSON object a line, written anew as a whole. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { z } from '../../lib/files/schema.ts'
import { parseInstanceId, type InstanceId } from '../../lib/identity/ids.ts'
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { seenRow, type SeenRow } from '../../lib/shield/seen-row.ts'

const line = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('shield_state'), version: z.literal(1) }),
  z.strictObject({ kind: z.literal('forgotten'), at: z.int().min(0) }),
  z.strictObject({ kind: z.literal('seen'), ...seenRow.shape }),
  z.strictObject({
    kind: z.literal('window'),
    instanceId: z.string().refine((text) => parseInstanceId(text) !== undefined),
    began: z.int().min(0),
  }),
  z.strictObject({ kind: z.literal('windows_lost'), why: z.string() }),
])
/** No window is lost with it, whatever is wrong with it. */
const seenLine = z.object({ kind: z.literal('seen') })

/** One line. */
export type StateLine = z.output<typeof line>

/** What is kept. */
export interface ShieldState {
  readonly forgottenAt: number | undefined
  readonly seen: readonly SeenRow[]
  /** Since when instances may have what is to be sealed. */
  readonly windows: readonly (readonly [InstanceId, number])[]
  /** Lines that were left out. */
  readonly unreadable: Count
  /** Those of them that may have been windows. */
  readonly unreadableWindows: Count
  /** Why windows were lost before; absent where none was. */
  readonly windowsLost: string | undefined
}

export interface StateFileOptions {
  readonly file: string
  readonly clock: Clock
  readonly logger: Logger
  /** Everything as it is now. */
  readonly lines: () => Iterable<StateLine>
  /** Another number after each change. */
  readonly changes: () => Count
  /** Whether the file holds that already. */
  readonly isWritten: boolean
  /** @default 60 s */
  readonly interval?: Milliseconds
}

const begin: StateLine = { kind: 'shield_state', version: 1 }
const soon: Milliseconds = 1_000
/** So many lines are made without a pause for guests. */
const linesPerPart: Count = 200

/**
 * Reads a file as {@link StateFile} writes it. No file is an empty one.
 * @throws {Error} for a file that cannot be read, or that holds anything else
 */
export function readStateFile(file: string): ShieldState {
  const seen: SeenRow[] = []
  const windows: (readonly [InstanceId, number])[] = []
  let forgottenAt: number | undefined
  let unreadable = 0
  let unreadableWindows = 0
  let windowsLost: string | undefined
  for (const [index, text] of linesOf(file).entries()) {
    const json = jsonOf(text)
    const { data } = line.safeParse(json)
    if (index === 0 && data?.kind !== 'shield_state') {
      throw new Error(`"${file}" is no state of the shield`)
    }
    // One line that is not understood must not open what other lines seal.
    if (data === undefined) {
      unreadable += 1
      if (!seenLine.safeParse(json).success) unreadableWindows += 1
      continue
    }
    if (data.kind === 'windows_lost') windowsLost = data.why
    if (data.kind === 'forgotten') forgottenAt = data.at
    if (data.kind === 'window') {
      const instanceId = parseInstanceId(data.instanceId)
      if (instanceId !== undefined) windows.push([instanceId, data.began])
    }
    if (data.kind !== 'seen') continue
    const { kind: _kind, ...row } = data
    seen.push(row)
  }
  return { forgottenAt, seen, windows, unreadable, unreadableWindows, windowsLost }
}

function linesOf(file: string): readonly string[] {
  try {
    // An empty file has one line, which is no head: the agent leaves none behind, but a full disk does.
    return readFileSync(file, 'utf8').replace(/\n$/, '').split('\n')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new Error(`"${file}" cannot be read`, { cause })
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Writes the state every now and then, and at the end. */
export class StateFile {
  readonly #options: StateFileOptions
  #written: Count
  #timer: Cancel | undefined
  #soon: Cancel | undefined
  #writing: Promise<void> | undefined
  #failure: string | undefined

  constructor(options: StateFileOptions) {
    this.#options = options
    this.#written = options.isWritten ? options.changes() : -1
  }

  /** Why what has changed is not written; absent where it is, or will be. */
  get failure(): string | undefined {
    return this.#failure
  }

  start(): void {
    const { clock, interval = 60_000 } = this.#options
    if (this.#written === -1) this.writeSoon()
    this.#timer = clock.schedule(interval, () => {
      void this.write().then(() => this.#timer && this.start())
    })
  }

  /** For changes that a crash must not undo. */
  writeSoon(): void {
    this.#soon ??= this.#options.clock.schedule(soon, () => {
      this.#soon = undefined
      void this.write()
    })
  }

  async close(): Promise<void> {
    this.#soon?.()
    this.#timer?.()
    this.#timer = undefined
    await this.write()
  }

  /** Writes what has changed since the last time. A failure is logged, and what is written stays as it was. */
  async write(): Promise<void> {
    // One that is under way may have begun too early.
    while (this.#writing !== undefined) await this.#writing
    if (this.#written === this.#options.changes()) return
    this.#writing = this.#writeNow().finally(() => {
      this.#writing = undefined
    })
    await this.#writing
  }

  async #writeNow(): Promise<void> {
    const { file, logger, lines, changes } = this.#options
    const temporary = `${file}.${randomBytes(6).toString('hex')}`
    const count = changes()
    try {
      const handle = await open(temporary, 'wx', 0o600)
      try {
        let part = `${JSON.stringify(begin)}\n`
        let size = 1
        for (const one of lines()) {
          part += `${JSON.stringify(one)}\n`
          size += 1
          if (size % linesPerPart !== 0) continue
          await handle.appendFile(part)
          part = ''
        }
        await handle.appendFile(part)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, file)
      this.#written = count
      this.#failure = undefined
    } catch (cause) {
      this.#failure = causeText(cause)
      await rm(temporary, { force: true })
      logger.error({ file, cause: this.#failure }, 'The state of the shield cannot be written')
    }
  }
}
