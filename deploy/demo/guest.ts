import { request } from 'node:http'

/** What a guest saw of one request; printed as one line of JSON for the demo to read. */
export interface GuestAnswer {
  readonly status: number
  /** The whole answer, at most 256 KiB. */
  readonly body: string
  /** From connecting to the last byte. */
  readonly milliseconds: number
  readonly error?: string
}

const longestBody = 256 * 1024
const patience = 10_000

/**
 * Fetches one URL with a connection of its own, as a booting guest does. Never throws: a failure is an answer too.
 * @param url `http://HOST[:PORT]/PATH`; an IPv6 host in brackets may have a zone, which Node's own reader of URLs refuses
 */
export function fetchAsGuest(url: string): Promise<GuestAnswer> {
  const begun = performance.now()
  return new Promise((resolve) => {
    const finish = (status: number, body: string, error?: Error): void => {
      const milliseconds = performance.now() - begun
      resolve({ status, body, milliseconds, ...(error && { error: error.message }) })
    }
    const to = { ...placeOf(url), agent: false, headers: { connection: 'close' } }
    const sent = request(to, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= longestBody) chunks.push(chunk)
      })
      response.on('end', () => finish(response.statusCode ?? 0, Buffer.concat(chunks).toString()))
      response.on('error', (error) => finish(response.statusCode ?? 0, '', error))
    })
    sent.setTimeout(patience, () => sent.destroy(new Error('no answer within 10 s')))
    sent.on('error', (error) => finish(0, '', error))
    sent.end()
  })
}

function placeOf(url: string): { host: string; port: number; path: string } {
  const [, v6, name = '', port = '80', path] =
    /^http:\/\/(?:\[([^\]]+)\]|([^/:]+))(?::(\d+))?(\/.*)$/.exec(url) ?? []
  if (path === undefined) throw new TypeError(`"${url}" is no URL of a guest`)
  return { host: v6?.replace('%25', '%') ?? name, port: Number(port), path }
}

/** The program that runs inside a guest's namespace: each argument is a URL, each line of output an answer. */
async function main(urls: readonly string[]): Promise<void> {
  for (const url of urls) process.stdout.write(`${JSON.stringify(await fetchAsGuest(url))}\n`)
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2))
