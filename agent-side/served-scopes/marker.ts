/** A small file beside the socket for reports. Where that is, files go with the next start of the host. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { ReportMarker } from './fence.ts'

const ownerOnly = 0o600

/** @param scopesSocket path of the socket for reports */
export function markerBeside(scopesSocket: string, logger: Logger): ReportMarker {
  const path = `${scopesSocket}.reported`
  let written: number | undefined
  return {
    read() {
      try {
        const text = readFileSync(path, 'utf8')
        return /^\d{1,10}$/.test(text) ? Number(text) : undefined
      } catch {
        return undefined
      }
    },
    set(workers) {
      if (written === workers) return
      written = workers
      try {
        writeFileSync(path, String(workers), { mode: ownerOnly })
      } catch (cause) {
        logger.warn(
          { path, cause: causeText(cause) },
          'Requests that come between the next start of the agent and the first report of served scopes are not fenced',
        )
      }
    },
    clear() {
      written = undefined
      rmSync(path, { force: true })
    },
  }
}
