import { neutronRpcDefaults } from './neutron-defaults.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { silentLogger, type Logger } from '../../lib/runtime/log.ts'
import { createRegistry, type Registry } from '../../lib/observe/metrics.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { type NeutronRpcConfig } from '../../agent-side/ports/neutron-rpc/config.ts'
import { NeutronRpcDirectory } from '../../agent-side/ports/neutron-rpc/directory.ts'
import { confirmLimit } from '../../agent-side/ports/neutron-rpc/bus/rpc-client.ts'
import type { FakeClock } from './fake-clock.ts'
import { until } from './until.ts'
import type { RabbitMq } from './rabbitmq.ts'

export interface OpenedDirectory {
  readonly directory: NeutronRpcDirectory
  readonly registry: Registry
  /** Value of one counter or gauge, labels ignored. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>
}

/** A directory for tests: quick to reconnect, no state reports unless asked for. */
export function makeDirectory(
  rabbit: Pick<RabbitMq, 'tcpPort' | 'username' | 'password'>,
  clock: Clock,
  config: Partial<NeutronRpcConfig> = {},
  logger: Logger = silentLogger,
): OpenedDirectory {
  const registry = createRegistry()
  const { username, password, tcpPort } = rabbit
  const directory = new NeutronRpcDirectory(
    {
      ...neutronRpcDefaults,
      // A clock that jumps leaves no answer its time.
      probeInterval: 0,
      maxAge: 10_000,
      maxStale: 120_000,
      transportUrl: new Secret(`rabbit://${username}:${password}@127.0.0.1:${tcpPort}/`),
      reconnectDelayMin: 10,
      reconnectDelayMax: 20,
      reportInterval: 0,
      host: 'test-host',
      ...config,
    },
    { clock, logger, registry },
  )
  return {
    directory,
    registry,
    async metric(name, labels = {}) {
      const metric = await registry.getSingleMetric(`overlapd_directory_${name}`)?.get()
      return (metric?.values ?? [])
        .filter((value) =>
          Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted),
        )
        .reduce((sum, { value }) => sum + value, 0)
    },
  }
}

export async function untilReady(directory: NeutronRpcDirectory): Promise<void> {
  await until(() => directory.readiness().ready)
}

/** Waits until pushes are relied on, which takes a port that was asked for. */
export async function untilLive(directory: NeutronRpcDirectory): Promise<void> {
  await until(() => directory.readiness().detail.startsWith('pushes keep'))
}

/** Waits until the broker has confirmed what was sent, for tests that then move the clock: it waits for that but a short while. */
export async function untilTaken(clock: FakeClock): Promise<void> {
  await until(() => !clock.pending.includes(confirmLimit))
}
