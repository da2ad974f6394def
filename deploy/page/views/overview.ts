/** How does this host stand, at a glance? */
import { html } from 'hono/html'
import type { GuestList } from '../guests.ts'
import type { HostView } from '../host.ts'
import type { Requests, SeenRequest } from '../requests.ts'
import { sharedAddresses } from './guest-groups.ts'
import { healthSection } from './health.ts'
import { lastHour } from './last-hour.ts'
import { liveRequests, refusalSummary } from './request-list.ts'
import { requestPath } from './request-path.ts'
import type { Html } from './parts.ts'

/** What the overview is made of. */
export interface OverviewParts {
  readonly view: HostView
  readonly list: GuestList
  readonly requests: Pick<Requests, 'latest' | 'lastOf'>
  /** Refusals that the agent remembers from before the page was opened. */
  readonly remembered: readonly SeenRequest[]
}

const shownRequests = 10

/** Health first, then the way of a request, the last hour, and who sends requests. */
export function overviewBody({ view, list, requests, remembered }: OverviewParts): Html {
  return html`<div data-live="health">${healthSection(view)}</div>
    <div data-live="path">${requestPath(view)}</div>
    <div data-live="hour">${lastHour(view)}</div>
    <div data-live="shared">${sharedAddresses(list, requests)}</div>
    <div class="columns">
      <section aria-labelledby="live-title">
        <h2 id="live-title">Requests now</h2>
        ${liveRequests(requests.latest(shownRequests, false), '')}
        <p class="more"><a href="requests">All requests</a></p>
      </section>
      <section aria-labelledby="refused-title" data-live="refused">
        <h2 id="refused-title">Latest refusals by reason</h2>
        ${refusalSummary(remembered)}
        <p class="more"><a href="requests?only=refused">Refused requests</a></p>
      </section>
    </div>`
}
