/** Which paths does the page have? All of them only show. */
import { Hono } from 'hono'
import { html } from 'hono/html'
import { mappings } from '../../lib/operator/answer-fields.ts'
import type { EventFeed } from '../../lib/http/event-feed.ts'
import type { Guard } from './guard.ts'
import { findGuests, type Guests } from './guests.ts'
import type { Host } from './host.ts'
import { pageScript } from './page-script.ts'
import { pageStyle } from './page-style.ts'
import { readRequest, type Requests } from './requests.ts'
import { explanationBody } from './views/explained.ts'
import { guestsBody } from './views/guest-groups.ts'
import { layout, type View } from './views/layout.ts'
import { networksBody } from './views/networks.ts'
import { overviewBody } from './views/overview.ts'
import { isCode, reasonBody, reasonsBody } from './views/reasons.ts'
import { requestsBody } from './views/request-list.ts'
import { foreign, scopeName } from './views/parts.ts'

/** A request as the row that shows it. */
export interface ShownRequest {
  readonly html: string
  readonly isRefusal: boolean
}

/** What the views read. */
export interface PageParts {
  readonly guard: Pick<Guard, 'admit'>
  readonly host: Pick<Host, 'look' | 'explain'>
  readonly guests: Pick<Guests, 'list'>
  readonly requests: Pick<Requests, 'latest' | 'lastOf'>
  readonly feed: EventFeed<ShownRequest>
  readonly hostName: string
}

/** Nothing of others runs here, nothing is loaded from elsewhere, and no other page may hold this one. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** Makes the app of the page. Its views read both daemons and change nothing. */
export function createPageApp(parts: PageParts): Hono {
  // With and without a slash at the end.
  const app = new Hono({ strict: false })
  app.use(async (context, next) => {
    context.header('cache-control', 'no-store')
    context.header('content-security-policy', policy)
    context.header('cross-origin-resource-policy', 'same-origin')
    context.header('cross-origin-opener-policy', 'same-origin')
    context.header('referrer-policy', 'no-referrer')
    context.header('x-content-type-options', 'nosniff')
    const admission = parts.guard.admit(context.req.raw)
    if (admission.kind === 'refused') return context.text(`${admission.why}\n`, 403)
    if (admission.kind === 'enter') return context.redirect(admission.to, 303)
    return await next()
  })
  app.route('/:session', viewsOf(parts))
  return app
}

function pageOf(text: string | undefined): number {
  return /^[1-9]\d{0,5}$/.test(text ?? '') ? Number(text) - 1 : 0
}

function viewsOf({ host, guests, requests, feed, hostName }: PageParts): Hono {
  const app = new Hono({ strict: false })
  const show = (view: View) => layout(hostName, view)
  app.get('/page.css', (context) =>
    context.body(pageStyle, 200, { 'content-type': 'text/css; charset=utf-8' }),
  )
  app.get('/page.js', (context) =>
    context.body(pageScript, 200, { 'content-type': 'text/javascript; charset=utf-8' }),
  )
  app.get('/events', (context) => {
    const onlyRefused = context.req.query('only') === 'refused'
    const stream = feed.watch((request) => !onlyRefused || request.isRefusal)
    return stream ?? context.json({ message: 'too many streams are open' }, 503)
  })
  app.get('/', async (context) => {
    const [view, list] = await Promise.all([host.look(), guests.list()])
    const remembered = mappings(view.agent.status['recentRefusals']).map(readRequest)
    const body = overviewBody({ view, list, requests, remembered })
    return context.html(show({ title: 'Overview', active: './', body }))
  })
  app.get('/guests', async (context) => {
    const text = context.req.query('q')?.trim() ?? ''
    const list = await guests.list()
    const found = text === '' ? undefined : { text, guests: findGuests(list.guests, text) }
    const body = guestsBody(list, found, pageOf(context.req.query('page')), requests)
    return context.html(show({ title: 'Guests', active: 'guests', body, search: text }))
  })
  app.get('/networks', async (context) => {
    const [view, list] = await Promise.all([host.look(), guests.list()])
    const body = networksBody(view, list, pageOf(context.req.query('page')))
    return context.html(show({ title: 'Networks', active: 'networks', body }))
  })
  app.get('/requests', async (context) => {
    const onlyRefused = context.req.query('only') === 'refused'
    const seen = requests.latest(50, onlyRefused)
    const remembered = mappings((await host.look()).agent.status['recentRefusals']).map(readRequest)
    const shown = onlyRefused && seen.length === 0 ? remembered : seen
    const body = requestsBody(shown, onlyRefused)
    return context.html(show({ title: 'Requests', active: 'requests', body }))
  })
  app.get('/request', async (context) => {
    const id = context.req.query('id') ?? ''
    const explanation = await host.explain(new URLSearchParams({ request: id }))
    const body = explanationBody(html`Request <code>${foreign(id, 80)}</code>`, explanation)
    return context.html(show({ title: 'Request', active: '', body }))
  })
  app.get('/guest', async (context) => {
    const { scope = '', ip = '', mac = '' } = context.req.query()
    const [kind = '', id = ''] = scope.split('/')
    const query = new URLSearchParams({ [kind]: id, ip, ...(mac !== '' && { mac }) })
    const title = html`<code>${foreign(ip, 60)}</code> behind ${scopeName(scope)}`
    const body = explanationBody(title, await host.explain(query))
    return context.html(show({ title: 'Guest', active: '', body }))
  })
  app.get('/reasons', (context) =>
    context.html(show({ title: 'Reasons', active: 'reasons', body: reasonsBody() })),
  )
  app.get('/reason', (context) => {
    const body = reasonBody(context.req.query('code') ?? '')
    return context.html(show({ title: 'Reason', active: '', body }))
  })
  app.get('/search', async (context) => {
    const text = context.req.query('q')?.trim() ?? ''
    if (isCode(text)) return context.redirect(`reason?code=${encodeURIComponent(text)}`, 303)
    const found = findGuests((await guests.list()).guests, text)
    const isRequest = found.length === 0 && text !== ''
    const explanation = isRequest
      ? await host.explain(new URLSearchParams({ request: text }))
      : undefined
    const to = explanation === undefined ? 'guests?q=' : 'request?id='
    return context.redirect(`${to}${encodeURIComponent(text)}`, 303)
  })
  return app
}
