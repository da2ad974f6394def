/** What of a policy does an operator see? */
import { documentClasses } from '../../lib/shield/document-class.ts'
import type { Finding } from './judge.ts'
import { shields, type Shield } from '../../lib/shield/shields.ts'
import type { GuestPolicy } from './policy.ts'

type Shown = Readonly<Record<string, unknown>>

/** What holds for a guest, each with the rule that decided it: `{ token: 'observe (built in)', … }`. */
export function shownPolicy(policy: GuestPolicy): Shown {
  const shown: Record<string, unknown> = {}
  for (const shield of shields) shown[shield] = shownShield(policy, shield)
  const { hopLimit, seal } = policy
  shown['hop_limit'] = `${hopLimit.value} (${hopLimit.rule})`
  if (seal.value !== 'never') {
    shown['seal'] = `${seal.value.after / 1_000} s after ${seal.value.from} (${seal.rule})`
  }
  return shown
}

/** One text where all classes of documents agree. */
function shownShield(policy: GuestPolicy, shield: Shield): unknown {
  const texts = documentClasses.map((documents) => {
    const { value, rule } = policy.action(shield, documents)
    return [documents, `${value} (${rule})`] as const
  })
  const [[, first]] = texts as [(typeof texts)[number]]
  return texts.every(([, text]) => text === first) ? first : Object.fromEntries(texts)
}

/** What a request did not pass: `{ token: 'token_missing: observed for user_data (project 1234)' }`. */
export function shownFindings(findings: readonly Finding[]): Shown {
  const shown: Record<string, string> = {}
  for (const { shield, reason, action, documents, rule } of findings) {
    const done = action === 'enforce' ? 'refused' : 'observed'
    const text = `${reason}: ${done} for ${documents} (${rule})`
    shown[shield] = shown[shield] === undefined ? text : `${shown[shield]}, ${text}`
  }
  return shown
}
