/** What do guests ask, and what do they get? */
import { html } from 'hono/html'
import { isServed, type SeenRequest } from '../requests.ts'
import { foreign, icon, moment, reasonText, scopeName, shortId, type Html } from './parts.ts'

/** One request of a list. */
export function requestItem(request: SeenRequest): Html {
  const { at, requestId, method, target, status, span, scope, sourceIp, instanceId } = request
  const isGood = isServed(request)
  return html`<li class="request">
    <span class="when">${moment(at)}</span>
    <span class="got"
      ><span class="badge ${isGood ? 'ready' : 'not_ready'}"
        >${icon(isGood ? 'ready' : 'not_ready')}${status === 0 ? 'none' : status}</span
      >
      ${isGood ? '' : reasonText(request.reason, request.outcome)}</span
    >
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

/** A list that grows at its top while somebody looks. @param query of the stream */
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
    const name = reason || outcome
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (counts.size === 0) return html`<p class="empty">No refusal is remembered.</p>`
  const rows = [...counts].toSorted(([, one], [, other]) => other - one)
  return html`<ul class="tally">
    ${rows.map(([reason, number]) => html`<li><b>${number}</b> ${reasonText(reason, reason)}</li>`)}
  </ul>`
}
