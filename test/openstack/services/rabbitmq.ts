import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { startDaemon, untilReady } from '../daemon.ts'
import type { Place } from '../place.ts'

/** Each control plane has a virtual host of its own: both Neutrons consume the topic q-plugin. */
export type VirtualHost = 'ml2' | 'ovn' | 'nova'
const virtualHosts: readonly VirtualHost[] = ['ml2', 'ovn', 'nova']
const user = 'openstack'

/** As oslo.messaging wants it. */
export function transportUrl(
  place: Place,
  virtualHost: VirtualHost,
  tcpPort = place.tcpPorts.rabbitmq,
): string {
  return `rabbit://${user}:${place.password}@127.0.0.1:${tcpPort}/${virtualHost}`
}

async function accepts(tcpPort: number): Promise<boolean> {
  const socket = connect(tcpPort, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

/** Resolves once the broker takes connections. */
export async function rabbitMqReady(place: Place): Promise<void> {
  await untilReady(place, 'rabbitmq', () => accepts(place.tcpPorts.rabbitmq))
}

/** Starts a RabbitMQ with its own port mapper, so that none of the system is touched. */
export function startRabbitMq(place: Place): void {
  const folder = join(place.folder, 'rabbitmq')
  const { rabbitmq, erlangMapper, erlangNode } = place.tcpPorts
  const file = (name: string): string => join(folder, name)
  mkdirSync(folder, { recursive: true })
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${rabbitmq}`,
    'loopback_users = none',
    `load_definitions = ${file('definitions.json')}`,
    'log.console = true',
    'log.console.level = warning',
    'log.file = false',
  ]
  const definitions = {
    users: [{ name: user, password: place.password, tags: [], limits: {} }],
    vhosts: virtualHosts.map((name) => ({ name })),
    permissions: virtualHosts.map((vhost) => ({
      user,
      vhost,
      configure: '.*',
      write: '.*',
      read: '.*',
    })),
  }
  writeFileSync(file('rabbitmq.conf'), `${settings.join('\n')}\n`)
  writeFileSync(file('definitions.json'), JSON.stringify(definitions))
  writeFileSync(file('enabled_plugins'), '[].\n')
  writeFileSync(file('env.conf'), '')
  startDaemon(place, {
    name: 'epmd',
    program: '/usr/bin/epmd',
    arguments: ['-address', '127.0.0.1', '-port', String(erlangMapper)],
  })
  startDaemon(place, {
    name: 'rabbitmq',
    program: '/usr/lib/rabbitmq/bin/rabbitmq-server',
    arguments: [],
    environment: {
      PATH: '/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: folder,
      ERL_EPMD_PORT: String(erlangMapper),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `openstack${rabbitmq}@localhost`,
      RABBITMQ_CONF_ENV_FILE: file('env.conf'),
      RABBITMQ_CONFIG_FILE: file('rabbitmq'),
      RABBITMQ_MNESIA_BASE: file('data'),
      RABBITMQ_LOG_BASE: folder,
      RABBITMQ_LOGS: '-',
      RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins'),
      RABBITMQ_PID_FILE: file('pid'),
      RABBITMQ_DIST_PORT: String(erlangNode),
      // Without spinning schedulers, which would take the machine from the other services.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
    },
  })
}
