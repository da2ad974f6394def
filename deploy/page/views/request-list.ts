/** What do guests request, and what do they get? */
import { html } from 'hono/html'
import { isNotThere, isServed, type SeenRequest } from '../requests.ts'
import { badge, foreign, icon, moment, reasonText, scopeName, shortId, type Html } from './parts.ts'

const outcomeWords: Readonly<Record<string, string>> = {
  relayed: 'from compute',
  cut_off: 'broke off',
  left: 'the guest left',
}

/** What a guest got, and why. A path that compute does not have is no trouble: cloud-init tries some. */
export function whatItGot(request: SeenRequest): Html {
  const { status, outcome, reason } = request
  if (isServed(request)) return badge('ready', String(status))
  const words = reasonText(reason, outcomeWords[outcome] ?? outcome)
  if (isNotThere(request)) {
    return html`<span class="badge quiet">${icon('unknown')}${status}</span> ${words}`
  }
  return html`${badge('not_ready', status === 0 ? 'none' : String(status))} ${words}`
}

/** One request of a list. */
export function requestItem(request: SeenRequest): Html {
  const { at, requestId, method, target, span, scope, sourceIp, instanceId } = request
  return html`<li class="request">
    <span class="when">${moment(at)}</span>
    <span class="got">${whatItGot(request)}</span>
    <code class="what">${method} ${foreign(target, 100)}</code>
    <span class="who"
      ><code>${foreign(sourceIp, 60)}</code>
      ${scopeName(scope)}${instanceId === '' ? '' : html` <span class="named">${icon('instance')}instance ${shortId(instanceId)}</span>`}</span
    >
    <span class="span">${span.toFixed(1)} ms</span>
    <a class="why" href="request?id=${encodeURIComponent(requestId)}"
      ><span class="hidden">Explain request </span>${shortId(requestId)}</a
    >
  </li>`
}

/** A list that grows at its top while it is looked at. @param query of the stream */
export function liveRequests(requests: readonly SeenRequest[], query: string): Html {
  return html`<div class="live">
    <p class="controls">
      <button type="button" data-pause aria-pressed="false" hidden>Pause</button>
      <span class="small" data-rate></span>
    </p>
    <ol class="requests" data-stream="events${query}" aria-label="Requests, the latest first">
      ${requests.map(requestItem)}
    </ol>
    ${requests.length === 0 ? html`<p class="empty" data-empty>No request since this page was opened. New ones appear by themselves.</p>` : ''}
  </div>`
}

/** The view of all requests. */
export function requestsBody(requests: readonly SeenRequest[], onlyRefused: boolean): Html {
  const tab = (path: string, words: string, isHere: boolean): Html =>
    html`<li><a href="${path}" ${isHere ? html` aria-current="page"` : ''}>${words}</a></li>`
  return html`<h1>Requests</h1>
    <nav aria-label="Which requests">
      <ul class="tabs">
        ${tab('requests', 'All', !onlyRefused)}${tab('requests?only=refused', 'Refused', onlyRefused)}
      </ul>
    </nav>
    ${liveRequests(requests, onlyRefused ? '?only=refused' : '')}`
}

/** On the overview: which refusals the agent remembers, by reason. */
export function refusalSummary(refusals: readonly SeenRequest[]): Html {
  const counts = new Map<string, number>()
  for (const { reason, outcome } of refusals) {
    const name = reason || (outcomeWords[outcome] ?? outcome)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size === 0) return html`<p class="empty">No refusal is remembered.</p>`
  const rows = [...counts].toSorted(([, one], [, other]) => other - one)
  return html`<ul class="tally">
    ${rows.map(([reason, number]) => html`<li><b>${number}</b> ${reasonText(reason, reason)}</li>`)}
  </ul>`
}
