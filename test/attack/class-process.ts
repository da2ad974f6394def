import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Forwarding } from './attack-class.ts'
import type { ReportValue } from './class-report.ts'

/** What a class is to do. */
export interface ClassOrder {
  readonly name: string
  readonly seed: number
  readonly seconds: number
}

/** What its process tells. */
export type ClassMessage =
  | { readonly kind: 'progress'; readonly report: ReportValue }
  | { readonly kind: 'done'; readonly report: ReportValue; readonly failure?: string }

/** How a class ended. */
export interface ClassResult {
  readonly name: string
  readonly forwarding: Forwarding
  readonly report: ReportValue
  /** Why the class itself could not do its work. */
  readonly failure?: string
}

/** For starting and stopping what a class attacks, on a machine that is busy. */
const longestRest = 180

const nothing: ReportValue = {
  tried: 0,
  accepted: 0,
  crashed: 0,
  wrong: 0,
  othersTried: 0,
  othersFailed: 0,
  findings: [],
  measured: {},
}

/** Runs one class in a process of its own: classes do not share memory, threads or namespaces, and one that hangs is cut off. */
export async function runClass(
  order: ClassOrder,
  forwarding: Forwarding,
  onProgress: (report: ReportValue) => void = () => undefined,
): Promise<ClassResult> {
  const { name } = order
  const child: ChildProcess = fork(
    new URL('run-class.ts', import.meta.url),
    [JSON.stringify(order)],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, OVERLAPD_TEST_FORWARDING: forwarding },
    },
  )
  let report = nothing
  let failure: string | undefined = 'ended without a report'
  child.on('message', (message: ClassMessage) => {
    report = message.report
    if (message.kind === 'done') failure = message.failure
    else onProgress(report)
  })
  const limit = setTimeout(
    () => {
      failure = `did not end ${longestRest} s after its time`
      // It cleans up when nobody listens any more.
      child.disconnect()
    },
    (order.seconds + longestRest) * 1_000,
  )
  await once(child, 'exit')
  clearTimeout(limit)
  return { name, forwarding, report, ...(failure !== undefined && { failure }) }
}
