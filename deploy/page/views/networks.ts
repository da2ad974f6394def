/** Which routers and networks are served on this host? */
import { html } from 'hono/html'
import { mappings, textOf, texts } from '../../../lib/operator/answer-fields.ts'
import type { GuestList } from '../guests.ts'
import type { HostView } from '../host.ts'
import { pages } from './guest-groups.ts'
import { badge, count, counted, foreign, scopeName, type Html } from './parts.ts'

type Namespace = Readonly<Record<string, unknown>>

const shown = 50

function hasTrouble(one: Namespace): boolean {
  return (
    one['state'] !== 'serving' ||
    one['why'] !== undefined ||
    one['interception'] === 'failed' ||
    one['canary'] === 'down'
  )
}

function namespaceItem(one: Namespace, guests: ReadonlyMap<string, number>): Html {
  const state = textOf(one['state'])
  const [interception, canary] = [textOf(one['interception']), textOf(one['canary'])]
  const scope = textOf(one['scope'])
  const about = [
    interception === '' ? '' : `redirection ${interception}`,
    canary === '' ? '' : `canary ${canary}`,
  ].filter((text) => text !== '')
  return html`<li class="namespace">
    <h2>${scope === '' ? foreign(textOf(one['netns'])) : scopeName(scope)}</h2>
    <p>
      ${badge(state === 'serving' ? (hasTrouble(one) ? 'degraded' : 'ready') : state === 'opening' ? 'degraded' : 'not_ready', state)}
      <a href="guests?q=${encodeURIComponent(scope)}"
        >${counted(guests.get(scope) ?? 0, 'guest')}</a
      >
    </p>
    <p class="small">
      <code>${foreign(textOf(one['netns']), 80)}</code> ${texts(one['listeners']).join(' ')}
      ${about.join(', ')}
    </p>
    ${one['why'] === undefined ? '' : html`<p class="note">${foreign(textOf(one['why']), 400)}</p>`}
  </li>`
}

/** Those with trouble first. */
export function networksBody({ proxy }: HostView, list: GuestList, page: number): Html {
  const refused = mappings(proxy.status['refused']).map((one) => ({ ...one, state: 'refused' }))
  const all: readonly Namespace[] = [...refused, ...mappings(proxy.status['namespaces'])]
  const troubled = all.filter(hasTrouble)
  const sorted = [...troubled, ...all.filter((one) => !hasTrouble(one))]
  const guests = new Map<string, number>()
  for (const { scope } of list.guests) guests.set(scope, (guests.get(scope) ?? 0) + 1)
  return html`<h1>Networks</h1>
    <p class="small">
      ${counted(all.length, 'namespace')} of routers and networks, ${count(troubled.length)} with
      trouble, which come first.
    </p>
    ${proxy.health.reachable ? '' : html`<p class="note">${foreign(proxy.health.why, 400)}</p>`}
    <ul class="namespaces" data-live="networks">
      ${sorted.slice(page * shown, (page + 1) * shown).map((one) => namespaceItem(one, guests))}
    </ul>
    ${all.length === 0 ? html`<p class="empty">None.</p>` : pages('networks', undefined, page, Math.ceil(all.length / shown))}`
}
