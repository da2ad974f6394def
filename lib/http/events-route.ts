/** Where do operators watch requests? The same on both daemons, so that a page can read either. */
import type { Hono } from 'hono'
import { fitsFilter, readEventFilter, type RequestEvent } from '../operator/request-event.ts'
import type { EventFeed } from './event-feed.ts'

/** Adds `GET /events?network=…&router=…&instance=…&reason=…&only=refused`. */
export function addEventsRoute(app: Hono, feed: EventFeed<RequestEvent>): void {
  app.get('/events', (context) => {
    const filter = readEventFilter(context.req.query())
    if (typeof filter === 'string') return context.json({ message: filter }, 400)
    const answer = feed.watch((event) => fitsFilter(filter, event))
    return answer ?? context.json({ message: 'too many streams are open' }, 503)
  })
}
