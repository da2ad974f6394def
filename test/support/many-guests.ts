import type { Port } from '../../agent-side/ports/directory/port-directory.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'
import type { ScriptedDirectory } from './scripted-directory.ts'
import type { Fields, RunningAgent } from './start-agent.ts'
import { until } from './until.ts'
import type { RawAnswer } from './raw-http.ts'

/** Which guest: its own number, and those of its project and network. */
export interface GuestNumbers {
  readonly guest: number
  readonly project: number
  readonly network?: number
  readonly address?: string
}

/** One guest of a test: an instance with one port. */
export class NumberedGuest {
  readonly instanceId: string
  readonly fields: Fields
  readonly port: Port

  constructor({ guest, project, network = 1, address = `10.0.0.${guest}` }: GuestNumbers) {
    this.instanceId = instanceId(guest)
    this.port = {
      portId: portId(guest),
      networkId: networkId(network),
      macAddress: mac(guest),
      fixedIps: [ip(address)],
      instanceId: instanceId(guest),
      projectId: projectId(project),
    }
    this.fields = [
      ['X-Neutron-Network-ID', networkId(network)],
      ['X-Forwarded-For', address],
      ['X-Overlapd-Source-MAC', mac(guest)],
    ]
  }

  ask(
    agent: RunningAgent,
    target = '/openstack/latest/meta_data.json',
  ): Promise<RawAnswer | undefined> {
    return agent.ask(target, this.fields)
  }
}

/** Makes guests and lets the directory know them. */
export function knownGuests(
  directory: ScriptedDirectory,
  all: readonly GuestNumbers[],
): readonly NumberedGuest[] {
  const guests = all.map((numbers) => new NumberedGuest(numbers))
  directory.setPorts(...guests.map(({ port }) => port))
  directory.remember()
  return guests
}

/** How the agent's queue before compute stands. */
export async function computeQueue(
  agent: RunningAgent,
): Promise<{ readonly running: number; readonly waiting: number; readonly limit: number }> {
  return (await agent.agent.status()).compute
}

/** Resolves when so many requests wait for their turn. Each look lets I/O go on, so this needs no timer. */
export async function untilWaiting(agent: RunningAgent, count: number): Promise<void> {
  await until(async () => (await computeQueue(agent)).waiting === count)
}
