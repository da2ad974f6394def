import { Hono } from 'hono'
import { html, raw } from 'hono/html'
import { adminApiVersion } from './admin-api-version.ts'
import type { Registry } from '../observe/metrics.ts'
import type { HealthReport } from '../operator/health.ts'

export interface AdminAppOptions {
  readonly health: () => HealthReport
  /** Text and its content type, in the exposition format of Prometheus. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** Anything that can be written as JSON; what `overlapd status` shows. */
  readonly status: () => unknown
}

/** The metrics of one registry, as an admin app wants them. */
export function registryMetrics(registry: Registry): AdminAppOptions['metrics'] {
  return async () => ({ contentType: registry.contentType, text: await registry.metrics() })
}

/**
 * The routes that every daemon has on its admin socket: `/health` (alive), `/ready` (the health; 503 while no guest can be served),
 * `/metrics` and `/status`. Each side adds its own to the returned app.
 */
export function createAdminApp(options: AdminAppOptions): Hono {
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    context.header('x-overlapd-api', adminApiVersion)
    context.header('cache-control', 'no-store')
    context.header('x-content-type-options', 'nosniff')
    // Names of ports and networks are written by tenants; nothing on these pages may run.
    context.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
  })
  app.get('/health', (context) => context.json({ status: 'ok' }))
  app.get('/ready', (context) => {
    const report = options.health()
    return context.json(report, report.ready ? 200 : 503)
  })
  app.get('/metrics', async () => {
    const { contentType, text } = await options.metrics()
    return new Response(text, { headers: { 'content-type': contentType } })
  })
  app.get('/status', async (context) => context.json((await options.status()) as object))
  return app
}

/** The first row of a table. */
export function headingRow(headings: readonly string[]): ReturnType<typeof html> {
  return html`<tr>
    ${headings.map((heading) => html`<th>${heading}</th>`)}
  </tr>`
}

/** A row for a table that has none. @param columns how many it spans */
export function emptyRow(columns: number): ReturnType<typeof html> {
  return html`<tr>
    <td colspan="${columns}">None.</td>
  </tr>`
}

/** Whether guests can be served, and each problem. */
export function healthLine({ state, problems, served }: HealthReport): ReturnType<typeof html> {
  if (problems.length === 0) {
    const proof =
      served.guest === undefined
        ? 'No guest has been served yet.'
        : `A guest was served at ${served.guest}.`
    return html`<p class="ready">Ready. ${proof}</p>`
  }
  return html`<p class="not-ready">
    ${state === 'degraded' ? 'Degraded' : 'Not ready'}:
    ${problems.map(({ part, what }) => `${part} (${what})`).join(', ')}.
  </p>`
}

/**
 * The frame of an operator's page. Build the body with `hono/html`'s `html` tag, which escapes what it is given.
 * @param body HTML that is already safe
 */
export async function adminPage(title: string, body: string | Promise<string>): Promise<string> {
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${title}</title>
        <style>
          body {
            font:
              15px/1.5 system-ui,
              sans-serif;
            margin: 2rem auto;
            max-width: 90rem;
            padding: 0 1rem;
          }
          table {
            border-collapse: collapse;
          }
          td,
          th {
            border-bottom: 1px solid #ddd;
            vertical-align: top;
            padding: 0.25rem 1rem 0.25rem 0;
            text-align: left;
          }
          code {
            font:
              13px/1.5 ui-monospace,
              monospace;
            overflow-wrap: anywhere;
          }
          time {
            white-space: nowrap;
          }
          .ready {
            color: #006b2d;
          }
          .not-ready {
            color: #b00020;
          }
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${raw(await body)}
      </body>
    </html>`
  return String(page)
}
