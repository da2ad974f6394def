/** What do the tests ask Neutron's HTTP API? */
import { urlOf, type Place } from './place.ts'
import type { NeutronServer } from './services/neutron.ts'

/** A port as Neutron shows it, in the fields that matter here. */
export interface ShownPort {
  readonly id: string
  readonly mac_address: string
  readonly network_id: string
  readonly device_id: string
  readonly fixed_ips: readonly { readonly ip_address: string; readonly subnet_id: string }[]
}

/** A network agent as Neutron shows it. */
export interface ShownAgent {
  readonly agent_type: string
  readonly binary: string
  readonly host: string
  readonly alive: boolean
  /** `2026-01-31 12:00:00`, UTC. */
  readonly heartbeat_timestamp: string
}

/** A server without authentication. */
export class NeutronApi {
  readonly #url: string

  constructor(place: Place, name: Exclude<NeutronServer, 'neutronKeystone'>) {
    this.#url = `${urlOf(place, name)}/v2.0`
  }

  /** @returns what is below `key` in the answer */
  async send<Answer>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<Answer> {
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as Answer
  }

  async network(fields: Readonly<Record<string, unknown>>): Promise<string> {
    const made = await this.send<{ network: { id: string } }>('POST', '/networks', {
      network: fields,
    })
    return made.network.id
  }

  async subnet(fields: Readonly<Record<string, unknown>>): Promise<string> {
    const made = await this.send<{ subnet: { id: string } }>('POST', '/subnets', { subnet: fields })
    return made.subnet.id
  }

  async router(name: string, projectId: string, subnets: readonly string[]): Promise<string> {
    const made = await this.send<{ router: { id: string } }>('POST', '/routers', {
      router: { name, project_id: projectId },
    })
    for (const subnet of subnets) {
      const path = `/routers/${made.router.id}/add_router_interface`
      await this.send('PUT', path, { subnet_id: subnet })
    }
    return made.router.id
  }

  async ports(ports: readonly Readonly<Record<string, unknown>>[]): Promise<readonly ShownPort[]> {
    return (await this.send<{ ports: ShownPort[] }>('POST', '/ports', { ports })).ports
  }

  async findPorts(query: string): Promise<readonly ShownPort[]> {
    return (await this.send<{ ports: ShownPort[] }>('GET', `/ports?${query}`)).ports
  }

  async deletePort(id: string): Promise<void> {
    await this.send('DELETE', `/ports/${id}`)
  }

  async agents(): Promise<readonly ShownAgent[]> {
    return (await this.send<{ agents: ShownAgent[] }>('GET', '/agents')).agents
  }
}
