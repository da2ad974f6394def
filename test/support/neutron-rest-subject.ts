import type { Test } from 'tap'
import { neutronRestDefaults } from './neutron-defaults.ts'
import { type NeutronRestConfig } from '../../agent-side/ports/neutron-rest/config.ts'
import { NeutronRestDirectory } from '../../agent-side/ports/neutron-rest/directory.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { silentLogger, type Logger } from '../../lib/runtime/log.ts'
import { createRegistry } from '../../lib/observe/metrics.ts'
import type { DirectoryChange } from '../../agent-side/ports/directory/port-directory.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeNeutron, type FakeNeutronOptions } from './fake-neutron.ts'
import { overlappingTopology } from '../conformance/overlapping-topology.ts'
import type { Topology } from '../conformance/topology.ts'

export interface Subject {
  readonly neutron: FakeNeutron
  readonly directory: NeutronRestDirectory
  readonly clock: FakeClock
  readonly changes: DirectoryChange[]
  /** Lets short pauses pass until the promise is settled, for code that waits between real exchanges. */
  readonly driven: <Value>(promise: Promise<Value> | Value) => Promise<Value>
  /** What a question that must fail was refused with. */
  readonly refusal: (promise: unknown) => Promise<MetadataError>
}

export interface SubjectOptions {
  readonly neutron?: FakeNeutronOptions
  readonly config?: (neutron: FakeNeutron) => Partial<NeutronRestConfig>
  readonly topology?: Topology
  readonly logger?: Logger
  /** @default false */
  readonly readsNetworkTags?: boolean
  /** @default true: waits until the first question was answered */
  readonly ready?: boolean
}

/** Pauses between attempts are shorter, limits of time are longer: those must not pass while a real exchange is on. */
const longestPause = 5_000

/** A neutron-rest directory before a fake Neutron, both closed at the end of the test. */
export async function neutronRestSubject(t: Test, options: SubjectOptions = {}): Promise<Subject> {
  const neutron = new FakeNeutron(options.neutron)
  neutron.ports.set(options.topology ?? overlappingTopology())
  await neutron.listen()
  const clock = new FakeClock()
  const config = {
    ...neutronRestDefaults,
    maxAge: 10_000,
    maxStale: 60_000,
    endpoint: neutron.url,
    ...options.config?.(neutron),
  }
  const { logger = silentLogger, readsNetworkTags = false } = options
  const registry = createRegistry()
  const directory = new NeutronRestDirectory(config, {
    clock,
    logger,
    registry,
    readsNetworkTags,
    random: () => 0.5,
    longestSilence: Infinity,
  })
  const changes: DirectoryChange[] = []
  directory.onChange((change) => changes.push(change))
  t.teardown(async () => {
    await directory.close()
    await neutron.close()
  })

  async function driven<Value>(promise: Promise<Value> | Value): Promise<Value> {
    const both = Promise.resolve(promise)
    const state = { isSettled: false }
    const settle = (): void => {
      state.isSettled = true
    }
    const settled = both.then(settle, settle)
    while (!state.isSettled) {
      const [next = Number.POSITIVE_INFINITY] = clock.pending
      await clock.advance(next <= longestPause ? next : 0)
    }
    await settled
    return both
  }

  await directory.start()
  while (options.ready !== false && !directory.readiness().ready) await clock.advance(10)
  return {
    neutron,
    directory,
    clock,
    changes,
    driven,
    async refusal(promise) {
      const outcome = await driven(
        Promise.resolve(promise).then(
          (value) => ({ value }),
          (thrown: unknown) => ({ thrown }),
        ),
      )
      if ('thrown' in outcome && outcome.thrown instanceof MetadataError) return outcome.thrown
      throw new Error(`Not refused: ${JSON.stringify(outcome)}`)
    },
  }
}
