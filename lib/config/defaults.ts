/** Where is everything, and under which port, without a setting? */
import type { Milliseconds } from '../runtime/clock.ts'

/** The daemons that have an admin socket. */
export type Daemon = 'proxy' | 'agent'

/** UNIX sockets of the daemons. */
export const defaultSockets = {
  agent: '/run/overlapd/agent.sock',
  leases: '/run/overlapd/agent-lease.sock',
  control: '/run/overlapd/proxy-control.sock',
  admin: { proxy: '/run/overlapd/proxy-admin.sock', agent: '/run/overlapd/agent-admin.sock' },
} as const

/** Read when they exist and no file is named. */
export const defaultConfigFiles: Readonly<Record<Daemon, string>> = {
  proxy: '/etc/overlapd/proxy.yaml',
  agent: '/etc/overlapd/agent.yaml',
}

/** Where namespaces have their names. @see ip-netns(8) */
export const netnsFolder = '/run/netns'

/** Local Open vSwitch database. */
export const openVswitchDatabase = 'unix:/var/run/openvswitch/db.sock'

/** The compute metadata API: the port is Nova's default for it. */
export const computeAddress = '127.0.0.1:8775'

/** Where the metadata address is redirected to in router namespaces, as Neutron's agents do. */
export const redirectedTcpPort = 9697

/** A daemon that stops gets `timeout_drain` for its requests and this for everything else. */
export const stopGrace: Milliseconds = 5_000
