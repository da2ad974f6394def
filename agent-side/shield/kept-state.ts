/** What does the shield take up from the agent before, and keep for the one after? */
import { copyFileSync, renameSync } from 'node:fs'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Readiness } from './readiness.ts'
import type { Seals } from './seals.ts'
import { readStateFile, StateFile, type StateFileOptions, type StateLine } from './state-file.ts'

type Around = Pick<StateFileOptions, 'file' | 'clock' | 'logger'>

export interface KeptStateOptions {
  /** Whether the policy seals anything now. Where it does not, nothing that was sealed can be lost. */
  readonly isSealing: boolean
  /** Called with what came of reading the file. */
  readonly onRead: (outcome: 'used' | 'refused') => void
}

/**
 * Takes up what the file holds. A file that is there and cannot be used must open nothing: then whoever has no window is sealed, over
 * restarts, until the operator decides. No file is that decision, or the first start.
 */
export function keptState(
  around: Around,
  readiness: Readiness,
  seals: Seals,
  { isSealing, onRead }: KeptStateOptions,
): StateFile {
  const { file, logger } = around
  let lost: string | undefined
  let isDamaged = false
  try {
    const { seen, forgottenAt, windows, windowsLost, ...left } = readStateFile(file)
    readiness.restore(seen, forgottenAt)
    seals.restore(windows)
    lost = windowsLost
    isDamaged = left.unreadable > 0
    if (isSealing && left.unreadableWindows > 0) {
      lost ??= `${left.unreadableWindows} lines of "${file}" cannot be read`
    }
    if (isDamaged) {
      const { unreadable } = left
      logger.error({ file, unreadable }, 'Lines of the state of the shield were left out')
    }
  } catch (cause) {
    isDamaged = true
    if (isSealing) lost = causeText(cause)
    logger.error(
      { file, cause: causeText(cause) },
      'The state of the shield cannot be used and begins anew',
    )
  }
  onRead(isDamaged ? 'refused' : 'used')
  if (lost !== undefined) {
    seals.lose(lost)
    logger.error({ file, cause: lost }, 'Instances without a known window count as sealed')
  }
  if (isDamaged) setAside(around)
  return new StateFile({
    ...around,
    changes: () => readiness.changes + seals.changes,
    isWritten: !isDamaged,
    *lines(): Generator<StateLine> {
      if (seals.lost !== undefined) yield { kind: 'windows_lost', why: seals.lost }
      for (const [instanceId, began] of seals.entries()) yield { kind: 'window', instanceId, began }
      const { forgottenAt } = readiness
      if (forgottenAt !== undefined) yield { kind: 'forgotten', at: forgottenAt }
      for (const row of readiness.rows()) yield { kind: 'seen', ...row }
    },
  })
}

/** The next state takes the place of the file, and the operator may be able to mend what is in it. */
function setAside({ file, logger }: Around): void {
  const copy = `${file}.unusable`
  try {
    copyFileSync(file, copy)
  } catch {
    // A file that others own can still be moved, and so can a folder.
    try {
      renameSync(file, copy)
    } catch (cause) {
      logger.error({ file, copy, cause: causeText(cause) }, 'No copy of the state can be made')
    }
  }
}
