import t, { type Test } from 'tap'
import { runLoad } from '../bench/load.ts'
import { runSteadyLoad, type SteadyResult } from '../bench/steady-load.ts'
import { runInNetns, skipUnlessPrivileged } from '../support/netns.ts'
import { makeRoutersWithGuests, type RouterWithGuest } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn, type RunningProxy } from '../support/running-proxy.ts'

const networks = 20
/** Few enough for a machine that is busy with other tests: what is lost is counted, not how fast it goes. */
const requestsPerSecond = 30

interface Scene {
  readonly routers: readonly RouterWithGuest[]
  readonly start: (...set: readonly string[]) => Promise<RunningProxy>
}

async function makeScene(t: Test): Promise<Scene> {
  const stage = await makeStage(t)
  const routers = await makeRoutersWithGuests(t, stage.netnsFolder, networks)
  const start: Scene['start'] = async (...set) => {
    const proxy = await startProxyOn(t, stage, {
      set,
    })
    await proxy.until(
      'every network',
      ({ namespaces, workers }) =>
        namespaces.length === networks &&
        namespaces.every(
          ({ state, interception }) => state === 'serving' && interception === 'applied',
        ) &&
        workers.every(({ state }) => state === 'ready'),
    )
    return proxy
  }
  return { routers, start }
}

async function underLoad({ routers }: Scene, event: () => Promise<void>): Promise<SteadyResult> {
  const targets = routers.map(({ target }) => target)
  // The first requests of a process are slow; that is not what is measured.
  await runLoad({ targets, connections: 4, keepAlive: false, requests: networks * 2 })
  return runSteadyLoad({ targets, requestsPerSecond, margin: 500, event })
}

/** Requests at the moment of a kill may be lost; a connection that waited for a worker may not. */
function tell(t: Test, what: string, result: SteadyResult): void {
  const { requests, endings, longestPause, latencies } = result
  const kinds = JSON.stringify(endings.errorKinds)
  t.comment(
    `${what}: ${requests} requests, ${endings.errors} failed ${kinds}, ${endings.wrong} wrong, longest pause ${longestPause.toFixed(0)} ms, slowest answer ${latencies.percentile(1)?.toFixed(0)} ms`,
  )
}

if (skipUnlessPrivileged(t)) {
  t.test(
    'killing each worker again and again cuts what it was doing, and nothing else',
    async (t) => {
      const scene = await makeScene(t)
      const proxy = await scene.start()
      let kills = 0
      const result = await underLoad(scene, async () => {
        for (let round = 0; round < 3; round += 1) {
          for (const { pid } of (await proxy.status()).workers) {
            process.kill(pid, 'SIGKILL')
            kills += 1
            await proxy.until('a new worker', ({ workers }) =>
              workers.every((worker) => worker.state === 'ready' && worker.pid !== pid),
            )
          }
        }
      })
      tell(t, `${kills} kills`, result)
      t.equal(kills, 6)
      t.equal(result.endings.wrong, 0)
      t.same(
        Object.keys(result.endings.errorKinds).filter((kind) => kind !== 'broken'),
        [],
        'no connection is refused, none waits for ever',
      )
      const targets = scene.routers.map(({ target }) => target)
      const after = await runLoad({ targets, connections: 4, keepAlive: false, requests: networks })
      t.match(after, { errors: 0, wrong: 0 }, 'every network is served after that')
    },
  )

  t.test('a supervisor that ends on SIGUSR2 leaves its workers to the next one', async (t) => {
    const scene = await makeScene(t)
    const first = await scene.start()
    let second: RunningProxy | undefined
    const kept = runLoad({
      targets: scene.routers.map(({ target }) => target),
      connections: 10,
      keepAlive: true,
      requests: 1_500,
    })
    const result = await underLoad(scene, async () => {
      process.kill(first.pid, 'SIGUSR2')
      t.equal(await first.ended, 0)
      second = await scene.start()
    })
    tell(t, 'SIGUSR2', result)
    t.match(result.endings.figures(), { errors: 0, wrong: 0 })
    const { errors, wrong, errorKinds } = await kept
    t.match(
      { errors, wrong },
      { errors: 0, wrong: 0 },
      `kept connections ${JSON.stringify(errorKinds)}`,
    )
    await second?.until(
      'the end of the takeover',
      () => second?.log().includes('Took over from workers') === true,
    )
    t.notMatch(second?.log(), /EADDRINUSE|Worker died/)
    t.equal(await second?.stop(), 0)
    const { stdout } = await runInNetns(scene.routers[0]!.netns, ['nft', 'list', 'ruleset'])
    t.equal(stdout, '', 'the last one takes the rules away')
  })
}
