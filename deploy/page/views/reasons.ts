/** What does a code mean, and what is done about it? */
import { html } from 'hono/html'
import { findingCodes } from '../../../lib/operator/host-codes.ts'
import { isReasonCode, reasonCodes, reasonRow } from '../../../lib/runtime/reason-codes.ts'
import { codeLink, foreign, type Html } from './parts.ts'

function isFinding(code: string): code is keyof typeof findingCodes {
  return Object.hasOwn(findingCodes, code)
}

/** Whether there is such a code. */
export function isCode(text: string): boolean {
  return isReasonCode(text) || isFinding(text)
}

/** Everything about one code. */
export function reasonBody(code: string): Html {
  const title = html`<h1><code>${foreign(code, 80)}</code></h1>`
  const row = (name: string, value: string | number): Html =>
    html`<div>
      <dt>${name}</dt>
      <dd>${value}</dd>
    </div>`
  if (isReasonCode(code)) {
    const { status, publicText, retryAfter, fault, operatorAction } = reasonRow(code)
    const retry = retryAfter === undefined ? 'does not help' : `after ${retryAfter} s`
    return html`${title}
      <dl class="pairs">
        ${row('The guest gets', `${status} ${publicText}`)}${row('What to do', operatorAction)}${row('Who must act', fault)}${row('Trying again', retry)}
      </dl>
      <p><a href="requests?only=refused">Refused requests</a> · <a href="reasons">All codes</a></p>`
  }
  if (isFinding(code)) {
    const { level, effect, remedy } = findingCodes[code]
    return html`${title}
      <dl class="pairs">
        ${row('Guests', effect)}${row('What to do', remedy)}${row('Level', level)}
      </dl>
      <p><a href="./">Health</a> · <a href="reasons">All codes</a></p>`
  }
  return html`${title}
    <p class="empty">There is no such code. <a href="reasons">All codes</a></p>`
}

/** All codes. */
export function reasonsBody(): Html {
  const reasons = Object.keys(reasonCodes).filter(isReasonCode)
  const findings = Object.keys(findingCodes).filter(isFinding)
  return html`<h1>Reasons</h1>
    <p class="small">Why requests are refused, and what health, doctor and audit report.</p>
    <h2>Refused requests</h2>
    <dl class="codes">
      ${reasons.map(
        (code) =>
          html`<div>
            <dt>${codeLink(code)} <span class="small">${reasonRow(code).status}</span></dt>
            <dd>${reasonRow(code).publicText}</dd>
          </div>`,
      )}
    </dl>
    <h2>Health, doctor, audit</h2>
    <dl class="codes">
      ${findings.map(
        (code) =>
          html`<div>
            <dt>${codeLink(code)}</dt>
            <dd>${findingCodes[code].effect}</dd>
          </div>`,
      )}
    </dl>`
}
