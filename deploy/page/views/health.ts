/** How does the health of both daemons read? */
import { html } from 'hono/html'
import { worstState } from '../../../lib/operator/health.ts'
import type { ReadProblem } from '../../../lib/operator/readiness.ts'
import type { DaemonView, HostView } from '../host.ts'
import { badge, codeLink, count, foreign, moment, type Html, type ShownState } from './parts.ts'

/** The worst of both; a daemon that cannot be queried is worse than any, but for one that is on other hosts. */
export function hostState({ proxy, agent }: HostView): ShownState {
  const healths = [proxy, agent].filter(isHere).map(({ health }) => health)
  if (healths.some((health) => !health.reachable)) return 'unknown'
  return worstState(healths.map((health) => (health.reachable ? health.state : 'not_ready')))
}

function isHere({ elsewhere }: DaemonView): boolean {
  return elsewhere === undefined
}

const headlines: Readonly<Record<ShownState, string>> = {
  ready: 'Every guest can be served',
  degraded: 'Some guests cannot be served',
  not_ready: 'No guest can be served',
  unknown: 'A daemon does not answer',
}

/** One sentence, what shows that it is true, and each problem. */
export function healthSection(view: HostView): Html {
  const state = hostState(view)
  const views = [view.proxy, view.agent]
  const all = views.filter(isHere).map(({ health }) => health)
  return html`<section class="health ${state}" aria-labelledby="headline">
    <div class="verdict">
      ${badge(state)}
      <h1 id="headline">${headlines[state]}</h1>
      <p class="proof">${proofText(view)}</p>
    </div>
    ${views.map(({ health, elsewhere }) => (elsewhere === undefined ? '' : html`<p class="note">${health.daemon}: ${foreign(elsewhere, 400)}</p>`))}
    ${all.map((health) => (health.reachable ? '' : unreachable(health.daemon, health.why)))}
    ${all.flatMap((health) =>
      health.reachable ? health.problems.map((one) => problem(health.daemon, one)) : [],
    )}
  </section>`
}

/** That guests get answers is shown only where one did, or the canary. */
function proofText({ proxy, agent }: HostView): Html {
  const served = [agent.health, proxy.health].flatMap((one) => (one.reachable ? [one.served] : []))
  const guests = served.flatMap(({ guest }) => guest ?? []).toSorted()
  const canaries = served.flatMap(({ canary }) => canary ?? []).toSorted()
  const guest = guests.at(-1)
  const canary = canaries.at(-1)
  if (guest !== undefined) return html`A guest got its metadata at ${moment(guest)}.`
  if (canary !== undefined) return html`The canary was answered at ${moment(canary)}.`
  return html`No guest has been served since the start.`
}

function unreachable(daemon: string, why: string): Html {
  return html`<article class="problem">
    <h2>${badge('unknown', `The ${daemon} does not answer`)}</h2>
    <p>${foreign(why, 400)}</p>
    <p class="remedy">
      <b>What to do</b> <code>systemctl status overlapd-${daemon}</code>, then
      <code>overlapd doctor</code>
    </p>
  </article>`
}

function problem(daemon: string, one: ReadProblem): Html {
  const { part, code, state, what, howMany, of, since, effect, remedy } = one
  const counted = of > 1 ? `: ${count(howMany)} of ${count(of)}` : ''
  return html`<article class="problem">
    <h2>${badge(state)} ${daemon}, ${part}${counted}</h2>
    <p>${foreign(what, 600)}</p>
    <dl>
      <div>
        <dt>Effect</dt>
        <dd>${effect}</dd>
      </div>
      <div>
        <dt>What to do</dt>
        <dd>${foreign(remedy, 600)}</dd>
      </div>
    </dl>
    <p class="small">${codeLink(code)}${since === '' ? '' : html` since ${moment(since)}`}</p>
  </article>`
}
