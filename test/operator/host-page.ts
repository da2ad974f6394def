/** How do tests read the page of a host, as one browser would? */
import { get } from 'node:http'
import { servePage } from '../../deploy/page/serve-page.ts'
import type { AdminAddresses } from '../../deploy/page/host.ts'
import type { Teardowns } from '../support/teardowns.ts'

interface Answer {
  readonly location: string
  readonly body: string
}

function fetchPage(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (incoming) => {
      let body = ''
      incoming.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      incoming.on('end', () => resolve({ location: incoming.headers.location ?? '', body }))
    }).on('error', reject)
  })
}

/** The page of `overlapd ui`, entered once. */
export class HostPage {
  readonly #base: string

  private constructor(base: string) {
    this.#base = base
  }

  static async open(t: Teardowns, addresses: AdminAddresses): Promise<HostPage> {
    const page = await servePage({ addresses, hostName: 'host-1' })
    t.teardown(() => page.close())
    const { location } = await fetchPage(page.link)
    return new HostPage(new URL(location, page.link).href)
  }

  /** The overview, as it is now: the page looks at the daemons once a second. */
  async overview(): Promise<string> {
    return (await fetchPage(this.#base)).body
  }
}
