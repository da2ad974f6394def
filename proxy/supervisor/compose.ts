/** How do the workers and the addresses of their agents come together? */
import { fileURLToPath } from 'node:url'
import type { Bytes, Milliseconds } from '../../lib/runtime/clock.ts'
import { startable, type Part } from '../../lib/runtime/lifecycle.ts'
import type { ProxyMetrics } from '../admin/metrics.ts'
import { workerCount } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { workerConfig } from '../config/worker-config.ts'
import { workerAccount } from '../privileges/accounts.ts'
import type { WorkerRecord } from '../takeover/left-workers.ts'
import type { SystemdStore } from '../takeover/systemd-store.ts'
import { AgentAddresses } from './agent-addresses.ts'
import { StrayProcesses, type StrayProcessesOptions } from './stray-processes.ts'
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts'
import type { Lifelines } from './worker-process.ts'

/** What workers report of listeners and of the canary, for the parts that are made after them. */
export type WorkerReports = Pick<
  WorkerPoolOptions,
  'onListening' | 'onRefused' | 'onCanary' | 'onEnd'
>

/** What the workers are made with, besides what every part is. */
export interface WorkersOptions extends WorkerReports {
  readonly metrics: ProxyMetrics
  readonly record: WorkerRecord
  readonly store: SystemdStore | undefined
}

/** The workers, and which agents they know. */
export interface Workers {
  readonly pool: WorkerPool
  readonly agentAddresses: AgentAddresses
  /** @param leaves whether they outlive this process, looked up when it ends */
  readonly part: (leaves: () => boolean) => Part
}

/** From the end of one supervisor until the next one serves; also when the service manager forgets us. */
const longestGap: Milliseconds = 60_000

/** What a request leaves behind in a worker is dead a moment later: with more room for it than this, pages are held and no time is saved. */
const youngMebibytes = 4

/** @param most bytes of a worker's heap */
function workerNodeOptions(most: Bytes): readonly string[] {
  const mebibytes = Math.ceil(most / 2 ** 20)
  return [`--max-old-space-size=${mebibytes}`, `--max-semi-space-size=${youngMebibytes}`]
}

/** Makes the pool of workers. None is started. */
export function composeWorkers(
  { config, clock, logger }: Surroundings,
  { metrics, record, store, ...reports }: WorkersOptions,
): Workers {
  const agentAddresses: AgentAddresses = new AgentAddresses({
    config,
    clock,
    logger,
    onChange: (addresses) => pool.reconfigureAgents(addresses),
  })
  const pool: WorkerPool = new WorkerPool({
    ...reports,
    program: {
      script: fileURLToPath(new URL('../worker/main.js', import.meta.url)),
      nodeOptions: workerNodeOptions(config.workers.memory_bytes),
      account: workerAccount(config.workers),
    },
    config: workerConfig(config, agentAddresses.addresses),
    count: workerCount(config),
    clock,
    logger,
    onRestart: () => metrics.workerRestarts.inc(),
    onBreach: (breach) => metrics.workerBreaches.inc({ breach }),
    onStart: (pids) => record.note(pids),
    lifelines: store && lifelinesIn(store),
  })
  const part = (leaves: () => boolean): Part =>
    startable(
      'workers',
      () => pool.start(),
      () => (leaves() ? pool.leave() : pool.close(config.limits.timeout_drain)),
    )
  return { pool, agentAddresses, part }
}

/** @returns `undefined` where workers have no account of their own: other programs look the same there */
export function composeStrays(
  { config, clock, logger }: Surroundings,
  options: Pick<StrayProcessesOptions, 'known' | 'inodes'> &
    Pick<WorkersOptions, 'metrics' | 'record'>,
): StrayProcesses | undefined {
  const { known, inodes, metrics, record } = options
  const { userId = 0 } = workerAccount(config.workers) ?? {}
  if (userId === 0) return undefined
  return new StrayProcesses({
    userId,
    known,
    inodes,
    left: () => record.left().map(({ pid }) => pid),
    onKill: () => metrics.workerBreaches.inc({ breach: 'child' }),
    clock,
    logger,
  })
}

function lifelinesIn(store: SystemdStore): Lifelines {
  return {
    deadline: longestGap,
    add: (fd) => store.add(fd, 'lifeline'),
    remove: (fd) => store.remove(fd, 'lifeline'),
  }
}
