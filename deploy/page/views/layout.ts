/** What surrounds each view: title, search, navigation. */
import { html } from 'hono/html'
import type { Html } from './parts.ts'

/** One view. */
export interface View {
  readonly title: string
  /** Path of the navigation's entry. */
  readonly active: string
  readonly body: Html
  /** What is in the search field. */
  readonly search?: string
}

const entries = [
  ['./', 'Overview'],
  ['guests', 'Guests'],
  ['networks', 'Networks'],
  ['requests', 'Requests'],
  ['reasons', 'Reasons'],
] as const

/** The whole page. Style and script come from this server; nothing is written into the page itself. */
export function layout(hostName: string, { title, active, body, search = '' }: View): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · ${hostName} · overlapd</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="page.css" />
        <script src="page.js" defer></script>
      </head>
      <body>
        <a class="skip" href="#content">Skip to content</a>
        <header class="top">
          <div class="inner">
            <p class="brand"><a href="./">overlapd</a> <span class="host">${hostName}</span></p>
            <nav aria-label="Views">
              <ul>
                ${entries.map(
                  ([path, name]) =>
                    html`<li>
                      <a href="${path}" ${path === active ? html` aria-current="page"` : ''}
                        >${name}</a
                      >
                    </li>`,
                )}
              </ul>
            </nav>
            <form role="search" action="search">
              <label class="hidden" for="q">Search</label
              ><input
                id="q"
                name="q"
                type="search"
                maxlength="255"
                value="${search}"
                placeholder="Address, MAC, id, reason"
                autocomplete="off"
                spellcheck="false"
              /><button>Search</button>
            </form>
          </div>
        </header>
        <main id="content" tabindex="-1">${body}</main>
        <footer class="inner">
          <p id="live-state" role="status"></p>
          <p>Read only. Times are UTC.</p>
        </footer>
      </body>
    </html>`
}
