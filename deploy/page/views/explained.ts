/** Why did a guest get what it got? */
import { html } from 'hono/html'
import { isMapping } from '../../../lib/runtime/mapping.ts'
import type { Explanation } from '../../../lib/operator/explanation.ts'
import { shownValue } from '../../../lib/operator/shown-value.ts'
import { isReasonCode, reasonRow, type ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { badge, foreign, reasonText, type Html } from './parts.ts'

/** The steps, the verdict, and what to do. */
export function explanationBody(title: Html, explanation: Explanation | undefined): Html {
  if (explanation === undefined) {
    return html`<h1>${title}</h1>
      <p class="empty">
        No daemon of this host knows it any more. Only the latest requests are remembered.
      </p>`
  }
  const { steps, verdict } = explanation
  const { kind, evidence, reason, ...rest } = verdict
  const { why, ...proof } = isMapping(evidence) ? evidence : {}
  const shown = Object.entries({ why, ...rest, ...proof })
  const isFound = kind === 'found'
  return html`<h1>${title}</h1>
    <p class="verdict-line">
      ${badge(isFound ? 'ready' : 'not_ready', isFound ? 'Found' : 'Refused')}
      ${typeof reason === 'string' ? reasonText(reason, '') : ''}
    </p>
    ${isReasonCode(reason) ? meaning(reason) : ''}
    <h2>Verdict</h2>
    <div class="sheet">${pairs(shown)}</div>
    <h2>Steps</h2>
    <ol class="steps">
      ${steps.map(
        ({ step, detail, ms }) =>
          html`<li>
            <h3>${foreign(step, 60)} <span class="small">${ms.toFixed(2)} ms</span></h3>
            ${pairs(Object.entries(detail))}
          </li>`,
      )}
    </ol>`
}

function meaning(reason: ReasonCode): Html {
  const { status, publicText, operatorAction } = reasonRow(reason)
  return html`<dl class="pairs">
    <div>
      <dt>The guest gets</dt>
      <dd>${status} ${publicText}</dd>
    </div>
    <div>
      <dt>What to do</dt>
      <dd>${operatorAction}</dd>
    </div>
  </dl>`
}

function pairs(entries: readonly (readonly [string, unknown])[]): Html {
  const known = entries.filter(([, value]) => value !== undefined)
  if (known.length === 0) return html``
  return html`<dl class="pairs">
    ${known.map(
      ([name, value]) =>
        html`<div>
          <dt>${foreign(name, 60)}</dt>
          <dd>${foreign(shownValue(value, name, 20), 2_000)}</dd>
        </div>`,
    )}
  </dl>`
}
