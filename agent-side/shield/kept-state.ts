/** What does the shield take up from the agent before, and keep for the one after? */
import { causeText } from '../../lib/runtime/errors.ts'
import type { Readiness } from './readiness.ts'
import type { Seals } from './seals.ts'
import { readStateFile, StateFile, type StateFileOptions, type StateLine } from './state-file.ts'

/** Takes up what the file holds. One that cannot be used is logged, and written anew. */
export function keptState(
  around: Pick<StateFileOptions, 'file' | 'clock' | 'logger'>,
  readiness: Readiness,
  seals: Seals,
): StateFile {
  const { file, logger } = around
  try {
    const { seen, forgottenAt, windows, unreadable } = readStateFile(file)
    readiness.restore(seen, forgottenAt)
    seals.restore(windows)
    if (unreadable > 0) {
      logger.error({ file, unreadable }, 'Lines of the state of the shield were left out')
    }
  } catch (cause) {
    logger.error(
      { file, cause: causeText(cause) },
      'The state of the shield cannot be used and begins anew: what was sealed is open again',
    )
  }
  return new StateFile({
    ...around,
    changes: () => readiness.changes + seals.changes,
    *lines(): Generator<StateLine> {
      for (const [instanceId, began] of seals.entries()) yield { kind: 'window', instanceId, began }
      const { forgottenAt } = readiness
      if (forgottenAt !== undefined) yield { kind: 'forgotten', at: forgottenAt }
      for (const row of readiness.rows()) yield { kind: 'seen', ...row }
    },
  })
}
