import { closeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger } from '../../lib/log.ts'
import { takeOver } from '../../proxy/handover/successor.ts'
import { listeningSocketOf } from '../../proxy/netns/listening-socket.ts'
import { runLoad } from '../bench/load.ts'
import { runSteadyLoad, type SteadyResult } from '../bench/steady-load.ts'
import { runInNetns, skipUnlessPrivileged } from '../support/netns.ts'
import { makeRoutersWithGuests, type RouterWithGuest } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn, type RunningProxy } from '../support/running-proxy.ts'

const networks = 20
/** Few enough for a machine that is busy with other tests: what is lost is counted, not how fast it goes. */
const requestsPerSecond = 30

interface Scene {
  readonly handoverSocket: string
  readonly routers: readonly RouterWithGuest[]
  readonly start: (...set: readonly string[]) => Promise<RunningProxy>
}

async function makeScene(t: Test, ...always: readonly string[]): Promise<Scene> {
  const stage = await makeStage(t)
  const routers = await makeRoutersWithGuests(t, stage.netnsFolder, networks)
  const handoverSocket = join(stage.folder, 'handover.sock')
  const start: Scene['start'] = async (...set) => {
    const proxy = await startProxyOn(t, stage, {
      set: [...always, `restart.handover_socket=${handoverSocket}`, ...set],
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
  return { handoverSocket, routers, start }
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

  t.test('a proxy that follows another takes its sockets, and no guest notices', async (t) => {
    const scene = await makeScene(t, 'restart.handover=true')
    const first = await scene.start()
    let second: RunningProxy | undefined
    const kept = runLoad({
      targets: scene.routers.map(({ target }) => target),
      connections: 10,
      keepAlive: true,
      requests: 1_500,
    })
    const result = await underLoad(scene, async () => {
      second = await scene.start()
      t.equal(await first.ended, 0, 'the first ends by itself')
    })
    tell(t, 'hand-over', result)
    t.equal(result.endings.errors, 0)
    t.equal(result.endings.wrong, 0)
    const { errors, wrong, errorKinds } = await kept
    t.match(
      { errors, wrong },
      { errors: 0, wrong: 0 },
      `kept connections ${JSON.stringify(errorKinds)}`,
    )
    t.match(second?.log(), new RegExp(`"sockets":${networks},.*Took over from another proxy`))
    t.notMatch(second?.log(), /EADDRINUSE|Worker died/)

    const third = await scene.start()
    t.equal(await second?.ended, 0)
    const again = await runLoad({
      targets: scene.routers.map(({ target }) => target),
      connections: 4,
      keepAlive: false,
      requests: networks,
    })
    t.match(again, { errors: 0, wrong: 0 }, 'and a third follows')
    t.equal(await third.stop(), 0)
    const { stdout } = await runInNetns(scene.routers[0]!.netns, ['nft', 'list', 'ruleset'])
    t.equal(stdout, '', 'the last one takes the rules away')
  })

  t.test('a successor that fails leaves the first as it was', async (t) => {
    const scene = await makeScene(t, 'restart.handover=true')
    const first = await scene.start()
    const result = await underLoad(scene, async () => {
      const predecession = await takeOver(scene.handoverSocket, silentLogger)
      const namespaces = predecession?.fds.map((fd) => listeningSocketOf(fd)?.namespace)
      t.equal(new Set(namespaces).size, networks, 'a socket of every namespace')
      for (const fd of predecession?.fds ?? []) closeSync(fd)
      predecession?.abandon()
    })
    tell(t, 'failed hand-over', result)
    t.match(result.endings.figures(), { errors: 0, wrong: 0 })
    t.equal((await first.status()).namespaces.length, networks)
    t.match(first.log(), /Hand-over failed, going on/)
  })
}
