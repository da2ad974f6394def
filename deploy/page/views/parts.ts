/** What do all views show alike? Everything from elsewhere is escaped by `html`, and its control characters are made visible. */
import { html } from 'hono/html'
import { terminalText } from '../../../lib/observe/text-table.ts'
import type { HealthState } from '../../../lib/operator/health.ts'
import { isReasonCode } from '../../../lib/runtime/reason-codes.ts'

/** HTML that is safe to show. */
export type Html = ReturnType<typeof html>

/** A {@link HealthState}, or that of a daemon that cannot be queried. */
export type ShownState = HealthState | 'unknown'

/** The states in words. */
const stateWords: Readonly<Record<ShownState, string>> = {
  ready: 'Ready',
  degraded: 'Degraded',
  not_ready: 'Not ready',
  unknown: 'Not reachable',
}

const shapes: Readonly<Record<string, Html>> = {
  ready: html`<circle cx="8" cy="8" r="7" /><path d="M4.8 8.2l2.2 2.2 4.2-4.6" />`,
  degraded: html`<path d="M8 1.5l6.8 12.5H1.2z" /><path d="M8 6v3.6M8 11.6v.4" />`,
  not_ready: html`<circle cx="8" cy="8" r="7" /><path d="M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4" />`,
  unknown: html`<circle cx="8" cy="8" r="7" stroke-dasharray="3 2.5" /><path d="M4.8 8h6.4" />`,
  router: html`<circle cx="8" cy="8" r="7" /><path
      d="M8 3v10M3 8h10M6.4 4.6L8 3l1.6 1.6M6.4 11.4L8 13l1.6-1.6"
    />`,
  network: html`<path d="M2 8h12M5 8V4.5M11 8v3.5" /><circle cx="5" cy="3" r="1.5" /><circle
      cx="11"
      cy="13"
      r="1.5"
    />`,
  instance: html`<rect x="2" y="3" width="12" height="8" rx="1.5" /><path d="M5.5 14h5" />`,
}

/** A small drawing; the words beside it mean the same. */
export function icon(name: ShownState | 'router' | 'network' | 'instance'): Html {
  return html`<svg class="icon ${name}" viewBox="0 0 16 16" aria-hidden="true">
    ${shapes[name]}
  </svg>`
}

/** A state with its drawing: never by color alone. */
export function badge(state: ShownState, words = stateWords[state]): Html {
  return html`<span class="badge ${state}">${icon(state)}${words}</span>`
}

/** Text that others wrote, cut where it becomes long, kept from running into what follows. */
export function foreign(text: string, most = 160): Html {
  const shown = terminalText(text)
  return html`<bdi>${shown.length > most ? `${shown.slice(0, most)}…` : shown}</bdi>`
}

/** The first part of an id, with the whole one for whoever points at it. */
export function shortId(id: string): Html {
  const shown = terminalText(id)
  const short = /^(?:req-)?([\da-f]{8})-/i.exec(shown)?.[1] ?? shown
  const cut = short.length > 24 ? `${short.slice(0, 24)}…` : short
  return html`<code title="${shown}"><bdi>${cut}</bdi></code>`
}

/** `14:02:11`, with date and all for programs. */
export function moment(at: string): Html {
  const time = /T(\d\d:\d\d:\d\d)/.exec(at)?.[1] ?? at
  return html`<time datetime="${at}" title="${at}">${time}</time>`
}

/** `router/5b2e…` as a drawing and an id. */
export function scopeName(scope: string): Html {
  const [kind = '', id = ''] = scope.split('/')
  if (kind !== 'router' && kind !== 'network') return foreign(scope)
  return html`<span class="named">${icon(kind)}${kind} ${shortId(id)}</span>`
}

/** A code that leads to its meaning. */
export function codeLink(code: string): Html {
  return html`<a class="code" href="reason?code=${encodeURIComponent(code)}"
    >${foreign(code, 60)}</a
  >`
}

/** A reason code as a link where there is one; other words as they are. */
export function reasonText(reason: string, otherwise: string): Html {
  return isReasonCode(reason) ? codeLink(reason) : foreign(reason || otherwise, 60)
}

/** `12,345`. */
export function count(number: number): string {
  return number.toLocaleString('en')
}

/** `1 guest`, `2 guests`. */
export function counted(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`
}
