import type { Test } from 'tap'
import { FakeClock } from './fake-clock.ts'
import { ScriptedDirectory } from './scripted-directory.ts'
import {
  startAgent,
  type Fields,
  type RunningAgent,
  type StartAgentOptions,
} from './start-agent.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'

/** The instance of {@link startAgentForOneGuest}. */
export const guestInstance = instanceId(1)

/** What our proxy says of its requests. */
export const guestFields: Fields = [
  ['X-Neutron-Network-ID', networkId(1)],
  ['X-Forwarded-For', '10.0.0.10'],
  ['X-Overlapd-Source-MAC', mac(1)],
]

export interface OneGuest {
  readonly agent: RunningAgent
  readonly clock: FakeClock
  readonly directory: ScriptedDirectory
}

/** An agent that knows one guest, for tests in which identity is not the point. */
export async function startAgentForOneGuest(
  t: Test,
  options: Omit<StartAgentOptions, 'clock' | 'directory'>,
): Promise<OneGuest> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setPorts({
    portId: portId(1),
    networkId: networkId(1),
    macAddress: mac(1),
    fixedIps: [ip('10.0.0.10')],
    instanceId: guestInstance,
    projectId: projectId(1),
  })
  directory.remember()
  return { agent: await startAgent(t, { clock, directory, ...options }), clock, directory }
}
