import type { Milliseconds } from '../../lib/runtime/clock.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import { AdminUnreachableError, requestAdminJson } from '../../lib/http/admin-client.ts'

/** How long a proxy took from the start of its program, until … */
export interface Attaching {
  /** … its admin socket answered: Node and our code are loaded. */
  readonly program: Milliseconds
  /** … a worker accepted in every namespace. */
  readonly listeners: Milliseconds
  /** … packets to the metadata address were redirected in every router. */
  readonly rules: Milliseconds
}

const pause: Milliseconds = 5

/** Watches a proxy that was started just now. @throws the signal's reason when it is aborted before the proxy is there */
export async function watchAttaching(adminSocket: string, signal: AbortSignal): Promise<Attaching> {
  const begun = performance.now()
  let program: Milliseconds | undefined
  let listeners: Milliseconds | undefined
  for (;;) {
    const report = await readyReport(adminSocket)
    const age = performance.now() - begun
    if (report !== undefined) {
      program ??= age
      if (isReady(report, 'namespaces')) listeners ??= age
      if (listeners !== undefined && isReady(report, 'rules')) {
        return { program, listeners, rules: age }
      }
    }
    signal.throwIfAborted()
    await new Promise((resolve) => {
      setTimeout(resolve, pause)
    })
  }
}

function isReady({ parts }: HealthReport, name: string): boolean {
  return parts.find((part) => part.name === name)?.ready === true
}

async function readyReport(adminSocket: string): Promise<HealthReport | undefined> {
  try {
    return (await requestAdminJson(adminSocket, '/ready')).value as HealthReport
  } catch (error) {
    if (error instanceof AdminUnreachableError) return undefined
    throw error
  }
}
