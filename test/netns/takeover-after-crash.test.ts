import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, renameSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock, type Milliseconds } from '../../lib/runtime/clock.ts'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { listenIn } from '../../proxy/netns/listen-in.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import { serveAfterCrash } from '../../proxy/worker/process/serve-after-crash.ts'
import { runLoad } from '../bench/load.ts'
import { runSteadyLoad, type SteadyResult } from '../bench/steady-load.ts'
import { leaveSocket } from '../support/left-socket.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { makeRoutersWithGuests, type RouterWithGuest } from '../support/routers-with-guests.ts'
import { until } from '../support/until.ts'
import {
  makeStage,
  startAndKill,
  startProxyOn,
  type ProxyStage,
  type RunningProxy,
} from '../support/running-proxy.ts'

const networks = 20
/** Few enough for a machine that is busy with other tests: what is lost is counted, not how fast it goes. */
const requestsPerSecond = 30

/** Long enough that who ends before was told to. */
const farAway: Milliseconds = 600_000

const window = await openWindow()
t.teardown(() => window.close())

interface Scene {
  readonly stage: ProxyStage
  readonly routers: readonly RouterWithGuest[]
  readonly start: (...set: readonly string[]) => Promise<RunningProxy>
}

async function makeScene(t: Test): Promise<Scene> {
  const stage = await makeStage(t)
  const routers = await makeRoutersWithGuests(t, stage.netnsFolder, networks)
  const start: Scene['start'] = async (...set) => {
    const proxy = await startProxyOn(t, stage, { set })
    await proxy.until(
      'every network',
      ({ namespaces, workers }) =>
        namespaces.length === networks &&
        namespaces.every(
          ({ state, interception }) => state === 'serving' && interception === 'applied',
        ) &&
        workers.every(({ state }) => state === 'ready'),
    )
    // Only then would its workers outlive it.
    await until(() => existsSync(takeoverSocket(stage)))
    return proxy
  }
  return { stage, routers, start }
}

function takeoverSocket({ folder }: ProxyStage): string {
  return join(folder, 'admin.sock.takeover')
}

async function underLoad({ routers }: Scene, event: () => Promise<void>): Promise<SteadyResult> {
  const targets = routers.map(({ target }) => target)
  // The first requests of a process are slow; that is not what is measured.
  await runLoad({ targets, connections: 4, keepAlive: false, requests: networks * 2 })
  return runSteadyLoad({ targets, requestsPerSecond, margin: 500, event })
}

function tell(t: Test, what: string, { requests, longestPause, endings }: SteadyResult): void {
  t.comment(
    `${what}: ${requests} requests, ${endings.errors} failed, ${endings.wrong} wrong, longest pause ${longestPause.toFixed(0)} ms`,
  )
}

const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`)

async function allGone(t: Test, pids: readonly number[]): Promise<void> {
  await until(() => pids.every(isGone), 10)
  t.same(
    pids.filter((pid) => !isGone(pid)),
    [],
    'nobody lives on',
  )
}

async function kill(t: Test, proxy: RunningProxy): Promise<readonly number[]> {
  const { workers } = await proxy.status()
  process.kill(proxy.pid, 'SIGKILL')
  await proxy.ended
  const pids = workers.map(({ pid }) => pid)
  t.teardown(() => {
    for (const pid of pids) if (!isGone(pid)) process.kill(pid, 'SIGKILL')
  })
  return pids
}

/** Sockets in another namespace, as many as there are ports. */
function listenAt(netns: string, ...tcpPorts: readonly number[]): readonly number[] {
  const handle = openNamespace(`/run/netns/${netns}`)
  try {
    const wanted = tcpPorts.map((tcpPort) => ({ address: parseIpAddress('::')!, tcpPort }))
    const { opened } = listenIn(window, handle, wanted, { backlog: 128, open: new Set() })
    return opened.map(({ fd }) => fd)
  } finally {
    handle.close()
  }
}

async function listenHere(t: Test): Promise<{ readonly fd: number; readonly tcpPort: number }> {
  const server: Server = createServer()
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
  const { fd } = (server as Server & { _handle: { fd: number } })._handle
  return { fd, tcpPort: (server.address() as AddressInfo).port }
}

if (skipUnlessPrivileged(t)) {
  t.test('an supervisor is killed again and again, and no guest notices', async (t) => {
    const scene = await makeScene(t)
    const bound = `restart.serve_after_crash=${farAway}ms`
    let proxy = await scene.start(bound)
    const leftWorkers: number[] = []
    const targets = scene.routers.map(({ target }) => target)
    const kept = runLoad({ targets, connections: 10, keepAlive: true, requests: 1_500 })

    const result = await underLoad(scene, async () => {
      for (let round = 0; round < 3; round += 1) {
        leftWorkers.push(...(await kill(t, proxy)))
        proxy = await scene.start(bound)
      }
    })
    tell(t, '3 kills', result)

    t.match(result.endings.figures(), { errors: 0, wrong: 0 })
    const { errors, wrong, errorKinds } = await kept
    t.match({ errors, wrong }, { errors: 0, wrong: 0 }, JSON.stringify(errorKinds))
    t.match(proxy.log(), new RegExp(`"sockets":${networks},.*left its workers serving`))
    t.notMatch(proxy.log(), /EADDRINUSE|Worker died|do not stop/)
    await allGone(t, leftWorkers)
    t.equal(await proxy.stop(), 0)
    t.equal(existsSync(takeoverSocket(scene.stage)), false)
  })

  t.test(
    'an supervisor that is killed while it takes over changes nothing for guests',
    async (t) => {
      const scene = await makeScene(t)
      const bound = `restart.serve_after_crash=${farAway}ms`
      const first = await scene.start(bound)
      const moments = [
        /left its workers serving/,
        /Inherited listening sockets/,
        /Worker is ready/,
        /Worker is ready[^]*Worker is ready/,
        /Took over from workers/,
      ]
      let last: RunningProxy | undefined
      const leftWorkers: number[] = []

      const result = await underLoad(scene, async () => {
        leftWorkers.push(...(await kill(t, first)))
        for (const moment of moments) {
          const log = await startAndKill(scene.stage, { set: [bound] }, moment)
          t.match(log, moment)
          leftWorkers.push(...[...log.matchAll(/"worker":(\d+)/g)].map(([, pid]) => Number(pid)))
        }
        last = await scene.start(bound)
      })
      tell(t, 'kills while taking over', result)

      t.match(result.endings.figures(), { errors: 0, wrong: 0 })
      t.same(result.endings.errorKinds, {})
      t.equal(await last?.stop(), 0)
      t.ok(leftWorkers.length > 6)
      await allGone(t, leftWorkers)
      t.equal(existsSync(`${takeoverSocket(scene.stage)}.former`), false)
    },
  )

  t.test(
    'one that died when it had put the socket of left workers aside is followed too',
    async (t) => {
      const scene = await makeScene(t)
      const bound = `restart.serve_after_crash=${farAway}ms`
      const first = await scene.start(bound)
      const leftWorkers: number[] = []
      let last: RunningProxy | undefined

      const result = await underLoad(scene, async () => {
        leftWorkers.push(...(await kill(t, first)))
        const path = takeoverSocket(scene.stage)
        renameSync(path, `${path}.former`)
        last = await scene.start(bound)
      })

      t.match(result.endings.figures(), { errors: 0, wrong: 0 })
      t.match(last?.log(), new RegExp(`"sockets":${networks},.*left its workers serving`))
      await allGone(t, leftWorkers)
      t.equal(await last?.stop(), 0)
      t.equal(existsSync(`${takeoverSocket(scene.stage)}.former`), false)
    },
  )

  t.test('the proxy that follows decides what the sockets of left workers stand for', async (t) => {
    const scene = await makeScene(t)
    await kill(t, await scene.start())
    const renamed = scene.routers.map(({ routerId, target }) => {
      const name = (id: string): string => join(scene.stage.netnsFolder, `qrouter-${id}`)
      const other = randomUUID()
      renameSync(name(routerId), name(other))
      return { ...target, expected: target.expected.replace(routerId, other) }
    })

    const proxy = await scene.start()
    await until(() => proxy.log().includes('Took over from workers'))

    const load = await runLoad({
      targets: renamed,
      connections: 4,
      keepAlive: false,
      requests: 100,
    })
    t.match(load, { errors: 0, wrong: 0 })
  })

  t.test(
    'left workers that no supervisor follows serve for a while and end by themselves',
    async (t) => {
      const scene = await makeScene(t)
      const first = await scene.start('restart.serve_after_crash=1500ms')
      const targets = scene.routers.map(({ target }) => target)

      const leftWorkers = await kill(t, first)
      const after = await runLoad({ targets, connections: 4, keepAlive: false, requests: networks })
      t.match(after, { errors: 0, wrong: 0 }, 'every network is still served')
      await allGone(t, leftWorkers)

      const second = await scene.start()
      t.notMatch(second.log(), /left its workers serving/)
      const again = await runLoad({ targets, connections: 4, keepAlive: false, requests: networks })
      t.match(again, { errors: 0, wrong: 0 }, 'and a later proxy begins afresh')
      const workers = (await second.status()).workers.map(({ pid }) => pid)
      t.equal(await second.stop(), 0)
      t.same(
        workers.filter((pid) => !isGone(pid)),
        [],
        'one that gets SIGTERM leaves none',
      )
    },
  )

  t.test('without a time for left workers workers end with the supervisor', async (t) => {
    const scene = await makeScene(t)
    const proxy = await startProxyOn(t, scene.stage, { set: ['restart.serve_after_crash=0s'] })
    await proxy.until('every network', ({ namespaces }) =>
      namespaces.every(({ state }) => state === 'serving'),
    )
    const workers = await kill(t, proxy)
    await allGone(t, workers)
    t.equal(existsSync(takeoverSocket(scene.stage)), false)
  })

  t.test('left workers end on request', async (t) => {
    const scene = await makeScene(t)
    const leftWorkers = await kill(t, await scene.start(`restart.serve_after_crash=${farAway}ms`))
    for (const pid of leftWorkers) process.kill(pid, 'SIGTERM')
    await allGone(t, leftWorkers)
  })

  t.test(
    'whatever a worker hands over, the namespace of a socket decides whose it is',
    async (t) => {
      const scene = await makeScene(t)
      const stranger = uniqueName()
      makeEmptyNamespaces(t, [stranger])
      const here = await listenHere(t)
      const right = scene.routers.map(({ netns }) => listenAt(netns, 9697)[0]!)
      const wrongPort = listenAt(scene.routers[0]!.netns, 9698)
      const handed = [
        here.fd,
        ...listenAt(stranger, 9697),
        ...wrongPort,
        ...right.toReversed(),
        ...right.slice(0, 3),
      ]
      const { fd } = await leaveSocket(join(scene.stage.folder, 'admin.sock'))
      const alive = setInterval(() => undefined, farAway)
      const outliving = serveAfterCrash({
        clock: systemClock,
        limit: farAway,
        socket: fd,
        owner: process.geteuid?.() ?? 0,
        descriptors: () => handed,
        isToEnd: () => false,
      })
      const end = async (): Promise<void> => {
        const finish = await outliving
        for (const one of new Set(handed)) if (one !== here.fd) closeSync(one)
        finish()
        clearInterval(alive)
      }

      const [proxy] = await Promise.all([scene.start(), end()])

      t.match(proxy.log(), new RegExp(`"sockets":${handed.length},.*left its workers serving`))
      t.match(proxy.log(), /Closed sockets of a namespace not served/)
      const { namespaces } = await proxy.status()
      t.same([...new Set(namespaces.flatMap(({ listeners }) => listeners))], ['[::]:9697'])
      const targets = scene.routers.map(({ target }) => target)
      const load = await runLoad({ targets, connections: 4, keepAlive: false, requests: 200 })
      t.match(load, { errors: 0, wrong: 0 })
      t.equal(listenAt(scene.routers[0]!.netns, 9698).map(closeSync).length, 1, 'others are closed')
    },
  )

  t.test('a proxy that is started beside a running one leaves its workers alone', async (t) => {
    const scene = await makeScene(t)
    const first = await scene.start()
    const { workers } = await first.status()

    await t.rejects(scene.start(), /did not come to/)

    t.match((await first.status()).workers, workers)
    const targets = scene.routers.map(({ target }) => target)
    const after = await runLoad({ targets, connections: 4, keepAlive: false, requests: networks })
    t.match(after, { errors: 0, wrong: 0 })
  })
}
