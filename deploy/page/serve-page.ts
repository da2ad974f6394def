/** How does the page get from this host to one browser on it, and to no other program? */
import { serveApp, type Serving } from '../../lib/http/serve.ts'
import { EventFeed } from '../../lib/http/event-feed.ts'
import { isRefusal } from '../../lib/operator/request-event.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { Guard } from './guard.ts'
import { Guests } from './guests.ts'
import { Host, type AdminAddresses } from './host.ts'
import { createPageApp, type ShownRequest } from './page-app.ts'
import { Requests, type SeenRequest } from './requests.ts'
import { requestItem } from './views/request-list.ts'

/** The page, being served. */
export interface ServedPage {
  /** To be opened once: `http://127.0.0.1:PORT/enter/…`. */
  readonly link: string
  close(): Promise<void>
}

export interface ServePageOptions {
  readonly addresses: AdminAddresses
  /** @default any that is free */
  readonly tcpPort?: number | undefined
  /** Shown in the title. */
  readonly hostName: string
}

/** Serves the page on loopback. @throws Error when the port is taken */
export async function servePage(options: ServePageOptions): Promise<ServedPage> {
  const { addresses, hostName } = options
  const guard = new Guard()
  const host = new Host(addresses, systemClock)
  const feed = new EventFeed<ShownRequest>({ clock: systemClock })
  const requests = new Requests(addresses, {
    onRequest(request) {
      if (feed.isWatched) void publish(feed, request)
    },
    onMissed: (count) => feed.missed(count),
  })
  const guests = new Guests(host, systemClock)
  const app = createPageApp({ guard, host, guests, requests, feed, hostName })
  const ending = new AbortController()
  const serving: Serving = await serveApp({
    app,
    listen: [{ host: '127.0.0.1', tcpPort: options.tcpPort ?? 0 }],
    drainLimit: 200,
  })
  const watching = requests.watch(ending.signal)
  return {
    link: `${serving.addresses[0]}${guard.entrance}`,
    async close() {
      ending.abort()
      feed.close()
      await Promise.all([serving.close(), watching])
    },
  }
}

/** The row is made here, where everything is escaped, and not in the browser. */
async function publish(feed: EventFeed<ShownRequest>, request: SeenRequest): Promise<void> {
  feed.publish({ html: String(await requestItem(request)), isRefusal: isRefusal(request) })
}
