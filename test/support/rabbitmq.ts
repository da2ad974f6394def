/** How do tests get a real RabbitMQ of their own, and leave nothing behind? */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

export interface RabbitMq {
  readonly tcpPort: number
  readonly username: string
  readonly password: string
  /** Runs `rabbitmqctl`, which takes seconds. */
  control(...words: readonly string[]): Promise<void>
  close(): Promise<void>
}

const serverScript = '/usr/lib/rabbitmq/bin/rabbitmq-server'
const controlScript = '/usr/lib/rabbitmq/bin/rabbitmqctl'
const portMapper = '/usr/bin/epmd'

const lowestTcpPort = 10_000

/**
 * Tells whether a broker can be started here. When not, the file's plan is skipped with the reason, or fails where
 * `OVERLAPD_TEST_REQUIRE_OPENSTACK=1` says that a skip would hide something.
 */
export function skipUnlessRabbitMq(t: Test): boolean {
  const missing = [serverScript, portMapper].find((file) => !existsSync(file))
  if (missing === undefined) return true
  const reason = `needs RabbitMQ, as of Debian's package rabbitmq-server: there is no ${missing}`
  if (process.env['OVERLAPD_TEST_REQUIRE_OPENSTACK'] === '1') t.fail(reason)
  else t.plan(0, reason)
  return false
}

/** Below those that the kernel gives by itself: nobody takes one of them in the seconds until the broker does. */
async function freeTcpPorts(count: number): Promise<readonly number[]> {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const above = Number.parseInt(range, 10)
  const servers: Server[] = []
  while (servers.length < count) {
    const server = createServer()
    try {
      server.listen(randomInt(lowestTcpPort, Math.max(above, 2 * lowestTcpPort)), '127.0.0.1')
      await once(server, 'listening')
      servers.push(server)
    } catch {
      // Somebody has it: another one.
    }
  }
  const tcpPorts = servers.map((server) => (server.address() as AddressInfo).port)
  for (const server of servers) {
    server.close()
    await once(server, 'close')
  }
  return tcpPorts
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** Resolves once the process has printed the text. */
function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    const take = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-20_000)
      if (output.includes(text)) resolve()
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    child.on('exit', (code) => reject(new Error(`RabbitMQ ended with ${code}:\n${output}`)))
  })
}

/** Starts a broker with its own port mapper, node name, cookie, data and TCP ports. */
export async function startRabbitMq(): Promise<RabbitMq> {
  const folder = await mkdtemp(join(tmpdir(), 'ovt-rabbitmq-'))
  const [tcpPort = 0, mapperPort = 0, nodePort = 0] = await freeTcpPorts(3)
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${tcpPort}`,
    'loopback_users = none',
    'default_user = neutron',
    'default_pass = secret',
    'log.console = true',
    'log.console.level = info',
    'log.file = false',
  ]
  await writeFile(join(folder, 'rabbitmq.conf'), `${settings.join('\n')}\n`)
  await writeFile(join(folder, 'enabled_plugins'), '[].\n')
  await writeFile(join(folder, 'env.conf'), '')
  await mkdir(join(folder, 'data'))
  await writeFile(join(folder, '.erlang.cookie'), randomBytes(16).toString('hex'), { mode: 0o400 })
  const environment = {
    PATH: `/usr/lib/rabbitmq/bin:${process.env['PATH'] ?? ''}`,
    HOME: folder,
    ERL_EPMD_PORT: String(mapperPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `ovt${tcpPort}@localhost`,
    RABBITMQ_CONF_ENV_FILE: join(folder, 'env.conf'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_LOGS: '-',
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_DIST_PORT: String(nodePort),
    // Without spinning schedulers, which would take the machine from the other tests.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
  }
  const mapper = spawn(portMapper, ['-address', '127.0.0.1', '-port', String(mapperPort)], {
    stdio: 'ignore',
  })
  const server = spawn(serverScript, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  // A test that is ended by its limit runs no teardown.
  const leave = (): void => {
    server.kill('SIGTERM')
    mapper.kill('SIGTERM')
  }
  process.once('exit', leave)
  const close = async (): Promise<void> => {
    process.removeListener('exit', leave)
    await ended(server)
    await ended(mapper)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await printed(server, 'Server startup complete')
  } catch (cause) {
    await close()
    throw cause
  }
  const control = async (...words: readonly string[]): Promise<void> => {
    const options = { env: environment, cwd: folder }
    await promisify(execFile)(controlScript, ['-q', ...words], options)
  }
  return { tcpPort, username: 'neutron', password: 'secret', control, close }
}
