/** Who has which address, side by side? */
import { html } from 'hono/html'
import type { AddressGroup, Guest, GuestList } from '../guests.ts'
import { isNotThere, isServed, type Requests } from '../requests.ts'
import { whatItGot } from './request-list.ts'
import {
  badge,
  count,
  counted,
  foreign,
  icon,
  moment,
  reasonText,
  shortId,
  type Html,
} from './parts.ts'

/** What a card needs besides the guest. */
export type LastRequests = Pick<Requests, 'lastOf'>

/** Guests on one page of a list. */
export const pageSize = 60
const shownGroups = 20
const shownOfGroup = 6

/** The way from the router to the guest, and what the guest got last. */
export function guestCard(guest: Guest, requests: LastRequests): Html {
  const { scope, networkId, address, macAddress, instanceId } = guest
  const [kind = '', id = ''] = scope.split('/')
  const query = new URLSearchParams({ scope, ip: address, mac: macAddress }).toString()
  const node = (name: 'router' | 'network' | 'instance', text: string): Html =>
    html`<li>${icon(name)}<span class="kind">${name}</span> ${shortId(text)}</li>`
  return html`<li class="guest">
    <ol class="chain">
      ${kind === 'router' ? node('router', id) : ''}${node('network', networkId || (kind === 'network' ? id : '–'))}${instanceId === '' ? '' : node('instance', instanceId)}
    </ol>
    <p class="last">${lastText(guest, requests)}</p>
    <p class="small">
      <code>${foreign(macAddress, 20)}</code>
      <a href="guest?${query}" aria-label="Explain ${address} behind ${kind} ${id}">Explain</a>
    </p>
  </li>`
}

function lastText(guest: Guest, requests: LastRequests): Html {
  if (guest.reason !== '') {
    return html`${badge('not_ready', 'refused')} ${reasonText(guest.reason, '')}`
  }
  const last = requests.lastOf(guest.scope, guest.address)
  if (last === undefined) {
    return html`<span class="badge quiet">${icon('unknown')}not seen yet</span>`
  }
  return isServed(last) || isNotThere(last)
    ? html`${badge('ready', 'served')} ${moment(last.at)}`
    : html`${whatItGot(last)} ${moment(last.at)}`
}

/** One address and some of those that have it. */
export function addressGroup(
  { address, guests }: AddressGroup,
  requests: LastRequests,
  heading: 'h2' | 'h3',
): Html {
  const left = guests.length - shownOfGroup
  const title = html`<code>${foreign(address, 60)}</code>
    <span class="small">${counted(guests.length, 'guest')}</span>`
  return html`<section class="group">
    ${heading === 'h2' ? html`<h2>${title}</h2>` : html`<h3>${title}</h3>`}
    <ul class="cards">
      ${guests.slice(0, shownOfGroup).map((guest) => guestCard(guest, requests))}
    </ul>
    ${left > 0 ? html`<p class="more"><a href="guests?q=${encodeURIComponent(address)}">${count(left)} more with ${address}</a></p>` : ''}
  </section>`
}

/** On the overview: the addresses that are shared most. */
export function sharedAddresses(list: GuestList, requests: LastRequests): Html {
  const shared = list.byAddress.filter(({ guests }) => guests.length > 1)
  const shown = (shared.length > 0 ? shared : list.byAddress).slice(0, 2)
  return html`<section aria-labelledby="shared-title">
    <h2 id="shared-title">Same address, side by side</h2>
    <p class="small">
      ${counted(list.guests.length, 'guest')},
      ${counted(shared.length, 'shared address').replace(/addresss$/, 'addresses')}.
      <a href="guests">All guests</a>
    </p>
    ${list.note === '' ? '' : html`<p class="note">${foreign(list.note, 400)}</p>`}
    ${shown.length === 0 ? html`<p class="empty">No guest is known on this host yet.</p>` : shown.map((group) => addressGroup(group, requests, 'h3'))}
  </section>`
}

/** All of them by address, or those that were searched for. */
export function guestsBody(
  list: GuestList,
  found: { readonly text: string; readonly guests: readonly Guest[] } | undefined,
  page: number,
  requests: LastRequests,
): Html {
  const all = found === undefined ? list.byAddress.length : found.guests.length
  const size = found === undefined ? shownGroups : pageSize
  const begin = page * size
  return html`<h1>Guests</h1>
    <p class="small">
      ${found === undefined ? html`${counted(list.guests.length, 'guest')} by address; the most shared first.` : html`${counted(found.guests.length, 'guest')} found for “${foreign(found.text)}”. <a href="guests">All guests</a>`}
    </p>
    ${list.note === '' ? '' : html`<p class="note">${foreign(list.note, 400)}</p>`}
    <div data-live="guests">
      ${
        found === undefined
          ? list.byAddress
              .slice(begin, begin + size)
              .map((group) => addressGroup(group, requests, 'h2'))
          : html`<ul class="cards named-cards">
              ${found.guests.slice(begin, begin + size).map(
                (guest) =>
                  html`<li class="titled">
                    <h2><code>${foreign(guest.address, 60)}</code></h2>
                    <ul>
                      ${guestCard(guest, requests)}
                    </ul>
                  </li>`,
              )}
            </ul>`
      }
    </div>
    ${all === 0 ? html`<p class="empty">None.</p>` : pages('guests', found?.text, page, Math.ceil(all / size))}`
}

/** Links to the page before and after. */
export function pages(path: string, text: string | undefined, page: number, all: number): Html {
  if (all <= 1) return html``
  const link = (to: number, words: string): Html => {
    const query = new URLSearchParams({
      ...(text !== undefined && { q: text }),
      page: String(to + 1),
    })
    return html`<a href="${path}?${query.toString()}">${words}</a>`
  }
  return html`<nav class="pages" aria-label="Pages">
    ${page > 0 ? link(page - 1, 'Previous') : html`<span></span>`}<span
      >Page ${page + 1} of ${count(all)}</span
    >${page + 1 < all ? link(page + 1, 'Next') : html`<span></span>`}
  </nav>`
}
