import { Hono } from 'hono'
import { adminApiVersion } from './admin-api-version.ts'
import type { Registry } from '../observe/metrics.ts'
import type { Minute } from '../observe/minute-history.ts'
import type { HealthReport } from '../operator/health.ts'

export interface AdminAppOptions {
  readonly health: () => HealthReport | Promise<HealthReport>
  /** Text and its content type, in the exposition format of Prometheus. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** Anything that can be written as JSON; what `overlapd status` shows. */
  readonly status: () => unknown
  /** The last hour, for `/history`. */
  readonly history: () => readonly Minute[]
}

/** The metrics of one registry, as an admin app wants them. */
export function registryMetrics(registry: Registry): AdminAppOptions['metrics'] {
  return async () => ({ contentType: registry.contentType, text: await registry.metrics() })
}

/**
 * The routes that every daemon has on its admin socket: `/health` (alive), `/ready` (the health; 503 while no guest can be served),
 * `/metrics`, `/status` and `/history` (the last hour by minutes). Each side adds its own to the returned app.
 */
export function createAdminApp(options: AdminAppOptions): Hono {
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    context.header('x-overlapd-api', adminApiVersion)
    context.header('cache-control', 'no-store')
    context.header('x-content-type-options', 'nosniff')
    // Names of ports and networks are written by tenants; nothing that a browser finds here may run.
    context.header('content-security-policy', "default-src 'none'")
  })
  app.get('/health', (context) => context.json({ status: 'ok' }))
  app.get('/ready', async (context) => {
    const report = await options.health()
    return context.json(report, report.ready ? 200 : 503)
  })
  app.get('/metrics', async () => {
    const { contentType, text } = await options.metrics()
    return new Response(text, { headers: { 'content-type': contentType } })
  })
  app.get('/status', async (context) => context.json((await options.status()) as object))
  app.get('/history', (context) => context.json({ minutes: options.history() }))
  app.get('/', (context) => context.text('The page of this host: run "overlapd ui".\n'))
  return app
}
