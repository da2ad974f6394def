/** Which way does a request go, and where does it get stuck? */
import { html } from 'hono/html'
import { isMapping } from '../../../lib/runtime/mapping.ts'
import { mappings, textOf } from '../../../lib/operator/answer-fields.ts'
import type { DaemonHealth } from '../../../lib/operator/health-command.ts'
import { worstState } from '../../../lib/operator/health.ts'
import type { HostView } from '../host.ts'
import { badge, count, foreign, type Html, type ShownState } from './parts.ts'

interface Station {
  readonly name: string
  readonly state: ShownState
  /** The number or word that matters most. */
  readonly figure: string
  readonly detail: string
}

/** The stations of a request from the guest to compute, each with its state. */
export function requestPath(view: HostView): Html {
  return html`<section aria-labelledby="path-title">
    <h2 id="path-title">The way of a request</h2>
    <ol class="stations">
      ${stations(view).map(
        ({ name, state, figure, detail }) =>
          html`<li class="station ${state}">
            <h3>${name}</h3>
            <p class="figure">${foreign(figure, 40)}</p>
            <p class="small">${foreign(detail, 120)}</p>
            ${badge(state)}
          </li>`,
      )}
    </ol>
    ${forwardingText(view)}
  </section>`
}

/** Which way requests go that a lease may cover, and why. */
function forwardingText({ proxy }: HostView): Html | string {
  const { forwarding } = proxy.status
  if (!isMapping(forwarding)) return ''
  const { straight, throughAgent, why } = forwarding
  const because = textOf(why) === '' ? '' : html`: ${foreign(textOf(why), 300)}`
  if (straight === 0 && throughAgent === 0) return ''
  if (straight === 0) return html`<p class="small">All requests go through the agent${because}.</p>`
  const others = throughAgent === 0 ? '' : html` Some workers send all through the agent${because}.`
  return html`<p class="small">
    Requests of guests with a lease go straight to Nova, all others through the agent.${others}
  </p>`
}

function stations({ proxy, agent }: HostView): readonly Station[] {
  const namespaces = mappings(proxy.status['namespaces'])
  const serving = namespaces.filter(({ state }) => state === 'serving').length
  const workers = mappings(proxy.status['workers'])
  const ready = workers.filter(({ state }) => state === 'ready').length
  const { directory } = agent.status
  const { kind } = isMapping(directory) ? directory : {}
  const upstreams = mappings(agent.status['upstreams'])
  const up = upstreams.filter(({ state }) => state === 'up').length
  return [
    {
      name: 'Namespaces',
      state: stateOf(proxy.health, ['namespaces', 'rules', 'capabilities', 'canary']),
      figure: of(serving, namespaces.length, proxy.health),
      detail: namespaces.length === 0 ? 'none to serve yet' : 'serving',
    },
    {
      name: 'Workers',
      state: stateOf(proxy.health, ['workers']),
      figure: of(ready, workers.length, proxy.health),
      detail: 'ready',
    },
    {
      name: 'Agent',
      state: worse(
        stateOf(proxy.health, ['agents']),
        stateOf(agent.health, ['listeners', 'fence']),
      ),
      figure: agent.health.reachable ? textOf(agent.status['version']) : '–',
      detail: agent.elsewhere ?? (agent.health.reachable ? 'running' : 'does not answer'),
    },
    {
      name: 'Port directory',
      state: stateOf(agent.health, ['directory']),
      figure: textOf(kind) || '–',
      detail: partDetail(agent.health, 'directory'),
    },
    {
      name: 'Compute',
      state: stateOf(agent.health, ['compute', 'secret']),
      figure: of(up, upstreams.length, agent.health),
      detail: `${upstreams.length === 1 ? 'endpoint answers' : 'endpoints answer'}; secret ${partDetail(agent.health, 'secret') || 'not known'}`,
    },
  ]
}

function of(some: number, all: number, health: DaemonHealth): string {
  return health.reachable ? `${count(some)} of ${count(all)}` : '–'
}

function stateOf(health: DaemonHealth, parts: readonly string[]): ShownState {
  if (!health.reachable) return 'unknown'
  return worstState(
    health.problems.filter(({ part }) => parts.includes(part)).map(({ state }) => state),
  )
}

function worse(one: ShownState, other: ShownState): ShownState {
  if (one === 'unknown' || other === 'unknown') return one === 'unknown' ? other : one
  return worstState([one, other])
}

function partDetail(health: DaemonHealth, part: string): string {
  if (!health.reachable) return ''
  return health.parts.find(({ name }) => name === part)?.detail ?? ''
}
