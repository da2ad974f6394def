/** How does a daemon get the request to audit itself? The same on both. */
import type { Hono } from 'hono'

/** What an audit of a daemon can cover, and who does it. */
export interface AuditRoutes<Request> {
  /** What a request without a body means. */
  readonly everything: Request
  /** @returns what is wrong with a body, in words, when it requests nothing that can be done */
  readonly readRequest: (body: unknown) => Request | string
  readonly audit: (request: Request) => Promise<object>
}

/** Adds `GET /audit`, and `POST /audit` for what a JSON body names. One audit at a time. */
export function addAuditRoutes<Request>(app: Hono, routes: AuditRoutes<Request>): void {
  let isAuditing = false
  const audit = async (request: Request): Promise<Response> => {
    if (isAuditing) return Response.json({ message: 'an audit is under way' }, { status: 503 })
    isAuditing = true
    try {
      return Response.json(await routes.audit(request))
    } finally {
      isAuditing = false
    }
  }
  app.get('/audit', () => audit(routes.everything))
  app.post('/audit', async (context) => {
    // Pages of other origins can send anything but this.
    if (context.req.header('content-type') !== 'application/json') {
      return context.json({ message: 'send application/json' }, 415)
    }
    const request = routes.readRequest(await context.req.json().catch(() => undefined))
    return typeof request === 'string'
      ? context.json({ message: request }, 400)
      : await audit(request)
  })
}
