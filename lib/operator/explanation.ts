/** Why did a guest get what it got? The form in which both daemons answer on `/explain`. */
import { isMapping } from '../runtime/mapping.ts'
import type { Milliseconds } from '../runtime/clock.ts'

/** One thing that was done for a request: `{ step: 'ports', detail: {…}, ms: 1.2 }`. */
export interface ExplainStep {
  readonly step: string
  /** For the operator; never a secret or a signature. */
  readonly detail: Readonly<Record<string, unknown>>
  /** Since the request began. */
  readonly ms: Milliseconds
}

/** `{"steps":[{"step":"ports","detail":{…},"ms":0.4}],"verdict":{"kind":"found",…}}`. */
export interface Explanation {
  readonly steps: readonly ExplainStep[]
  readonly verdict: Readonly<Record<string, unknown>>
}

/** @returns `undefined` for anything else */
export function readExplanation(value: unknown): Explanation | undefined {
  if (!isMapping(value) || !Array.isArray(value['steps']) || !isMapping(value['verdict'])) {
    return undefined
  }
  const steps = (value['steps'] as readonly unknown[]).filter(isMapping).map((step) => ({
    step: typeof step['step'] === 'string' ? step['step'] : '',
    detail: isMapping(step['detail']) ? step['detail'] : {},
    ms: typeof step['ms'] === 'number' ? step['ms'] : 0,
  }))
  return { steps, verdict: value['verdict'] }
}
