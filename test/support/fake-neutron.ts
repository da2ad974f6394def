import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { FakePorts } from './fake-ports.ts'

export interface FakeNeutronOptions {
  /** Asks for a token, as `auth_strategy = keystone` does. Anything else is a laboratory. */
  readonly keystone?: boolean
  /** @default 3600 */
  readonly tokenSeconds?: number
  /** As `pagination_max_limit`. */
  readonly pageSize?: number
  readonly tls?: ServerOptions
  /** Regions of the catalog. @default one, RegionOne */
  readonly regions?: readonly string[]
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly token: string | undefined
  readonly targetBytes: number
  readonly body: string
}

/** Answers a request in the server's place; `false` leaves it to the server. */
export type Intervention = (request: SeenRequest, response: ServerResponse) => boolean

export const fakeUser = { name: 'metadata', password: 'right', domain: 'Default' } as const
export const fakeCredential = { id: 'credential-1', secret: 'app-secret' } as const

/**
 * A small Neutron with its Keystone on one loopback port: `GET /v2.0/ports` with repeated filters, `fields`, `limit` and
 * `marker`, `GET /v2.0/networks` for tags, and `POST /v3/auth/tokens`. Tests count what it is asked and break it as they like.
 */
export class FakeNeutron {
  readonly ports: FakePorts
  readonly requests: SeenRequest[] = []
  readonly #options: FakeNeutronOptions
  readonly #server: Server
  readonly #tokens = new Set<string>()
  #intervention: Intervention | undefined
  #issued = 0
  #tcpPort = 0

  constructor(options: FakeNeutronOptions = {}) {
    this.#options = options
    this.ports = new FakePorts(options.pageSize)
    const listener: RequestListener = (request, response) => {
      void this.#serve(request, response)
    }
    this.#server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener)
  }

  get url(): string {
    return `${this.#options.tls ? 'https' : 'http'}://127.0.0.1:${this.#tcpPort}`
  }

  get authUrl(): string {
    return `${this.url}/v3`
  }

  /** What Neutron itself was asked, without Keystone. */
  get questions(): readonly SeenRequest[] {
    return this.requests.filter(({ path }) => path === '/v2.0/ports')
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#tcpPort, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#tcpPort = (this.#server.address() as AddressInfo).port
  }

  /** Nobody listens any more; {@link listen} opens the same port again. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  intervene(intervention: Intervention | undefined): void {
    this.#intervention = intervention
  }

  /** Every token given so far is worth nothing any more. */
  revokeTokens(): void {
    this.#tokens.clear()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const target = request.url ?? '/'
    const url = new URL(target, 'http://fake')
    const token = request.headers['x-auth-token']
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      token: Array.isArray(token) ? token[0] : token,
      targetBytes: target.length,
      body: Buffer.concat(chunks).toString('utf8'),
    }
    this.requests.push(seen)
    if (this.#intervention?.(seen, response) === true) return
    if (seen.method === 'POST' && seen.path === '/v3/auth/tokens') this.#issue(seen, response)
    else if (seen.method === 'GET' && /^\/v2\.0\/(?:ports|networks)$/.test(seen.path))
      this.#list(seen, response)
    else json(response, 404, { error: 'no such resource' })
  }

  #list(seen: SeenRequest, response: ServerResponse): void {
    if (this.#options.keystone === true && !this.#tokens.has(seen.token ?? '')) {
      json(response, 401, { error: { code: 401 } })
      return
    }
    const isOfPorts = seen.path === '/v2.0/ports'
    const { ports } = this
    json(
      response,
      200,
      isOfPorts ? ports.list(seen.query, this.url) : ports.listNetworks(seen.query),
    )
  }

  #issue(seen: SeenRequest, response: ServerResponse): void {
    if (!isRightIdentity(seen.body)) {
      json(response, 401, { error: { code: 401, title: 'Unauthorized' } })
      return
    }
    this.#issued += 1
    const token = `token-${this.#issued}`
    this.#tokens.add(token)
    const issued = Date.UTC(2026, 0, 1)
    const expires = issued + (this.#options.tokenSeconds ?? 3_600) * 1_000
    response.setHeader('x-subject-token', token)
    json(response, 201, {
      token: {
        issued_at: new Date(issued).toISOString(),
        expires_at: new Date(expires).toISOString(),
        catalog: this.#catalog(),
      },
    })
  }

  #catalog(): unknown {
    const endpoints = (this.#options.regions ?? ['RegionOne']).flatMap((region) =>
      ['public', 'internal'].map((endpointInterface) => ({
        interface: endpointInterface,
        region,
        region_id: region,
        url: region === 'RegionOne' ? this.url : `http://other.invalid/${region}`,
      })),
    )
    return [
      { type: 'identity', name: 'keystone', endpoints: [] },
      { type: 'network', name: 'neutron', endpoints },
    ]
  }
}

interface TokenRequestBody {
  readonly auth?: {
    readonly identity?: {
      readonly methods?: readonly string[]
      readonly password?: { readonly user?: Readonly<Record<string, unknown>> }
      readonly application_credential?: Readonly<Record<string, unknown>>
      readonly token?: { readonly id?: string }
    }
  }
}

function isRightIdentity(body: string): boolean {
  const identity = (JSON.parse(body) as TokenRequestBody).auth?.identity
  const user = identity?.password?.user
  if (user) return user['name'] === fakeUser.name && user['password'] === fakeUser.password
  const credential = identity?.application_credential
  if (credential) return credential['secret'] === fakeCredential.secret
  return identity?.token?.id === 'given-token'
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** Answers every request, or those of one path, with this status. */
export function answering(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body = '{"error": "made by the test"}',
  path = '/v2.0/ports',
): Intervention {
  return (seen, response) => {
    if (seen.path !== path) return false
    response.writeHead(status, headers).end(body)
    return true
  }
}
