import type { Milliseconds } from '../../../../lib/runtime/clock.ts'
import { brokenAnswer, type JsonObject } from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'
import { parseJsonObject } from '../http/json.ts'
import type { EndpointInterface } from './cloud.ts'

/** One URL of one service in Keystone's catalog. */
export interface CatalogEndpoint {
  readonly serviceType: string
  readonly endpointInterface: string
  readonly region?: string
  readonly url: string
}

/** What Keystone returns with a token besides the token itself. */
export interface IssuedToken {
  /** How long it was good for when it was issued. Both ends are the server's own, so no clock of ours is compared with them. */
  readonly lifetime: Milliseconds
  readonly catalog: readonly CatalogEndpoint[]
}

function epoch(value: unknown, name: string): number {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  if (Number.isNaN(time)) throw brokenAnswer(`"${name}" of the token is not a time`)
  return time
}

function catalogEndpoints(catalog: unknown): readonly CatalogEndpoint[] {
  if (catalog === undefined) return []
  if (!Array.isArray(catalog)) throw brokenAnswer('the "catalog" is not a list')
  return catalog.filter(isMapping).flatMap((service) => {
    const { type, endpoints } = service
    if (typeof type !== 'string' || !Array.isArray(endpoints)) return []
    return endpoints.filter(isMapping).flatMap((endpoint: JsonObject) => {
      const { url, interface: endpointInterface, region, region_id: regionId } = endpoint
      if (typeof url !== 'string' || typeof endpointInterface !== 'string') return []
      const where = regionId ?? region
      return [
        {
          serviceType: type,
          endpointInterface,
          url,
          ...(typeof where === 'string' && { region: where }),
        },
      ]
    })
  })
}

/**
 * Reads the body of `POST /v3/auth/tokens`.
 * @throws MetadataError `directory_unavailable` when it is not one
 */
export function parseIssuedToken(text: string): IssuedToken {
  const { token } = parseJsonObject(text)
  if (!isMapping(token)) throw brokenAnswer('there is no "token"')
  const lifetime = epoch(token['expires_at'], 'expires_at') - epoch(token['issued_at'], 'issued_at')
  return { lifetime, catalog: catalogEndpoints(token['catalog']) }
}

/** Which of Neutron's endpoints is wanted. */
export interface EndpointChoice {
  readonly endpointInterface: EndpointInterface
  readonly region?: string | undefined
}

/**
 * Finds Neutron in the catalog. Two endpoints that fit mean that a region must be named: ports of another
 * region are other ports.
 * @throws MetadataError `directory_unavailable` when not exactly one fits
 */
export function chooseEndpoint(
  catalog: readonly CatalogEndpoint[],
  choice: EndpointChoice,
): string {
  const fitting = catalog.filter(
    (endpoint) =>
      endpoint.serviceType === 'network' &&
      endpoint.endpointInterface === choice.endpointInterface &&
      (choice.region === undefined || endpoint.region === choice.region),
  )
  const urls = new Set(fitting.map((endpoint) => endpoint.url))
  const [url] = urls
  if (url !== undefined && urls.size === 1 && URL.canParse(url)) return url
  const wanted = `${choice.endpointInterface}${choice.region === undefined ? '' : ` in "${choice.region}"`}`
  throw brokenAnswer(`the catalog has ${urls.size} usable network endpoints (${wanted}), not one`)
}
