// A worker that was broken into started a process in a session of its own with copies of the listening sockets. It went on accepting
// guests after the worker had been killed, and the next supervisor could not listen (EADDRINUSE). Right: workers cannot start processes;
// one that is there all the same is killed when its worker has ended, and by the next supervisor, which serves within 15 s.
import { spawn } from 'node:child_process'
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { processStatus } from '../../lib/host/process-facts.ts'
import { askOnce, requestText } from '../bench/guest-request.ts'
import { HostileCopy } from '../attack/hostile-program/hostile-copy.ts'
import { capabilitiesOfUnit } from '../support/capabilities-of-unit.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { SeededRandom } from '../support/random.ts'
import { makeRoutersWithGuests } from '../support/routers-with-guests.ts'
import { makeStage, openFolder, startProxyOn, type RunningProxy } from '../support/running-proxy.ts'
import { until } from '../support/until.ts'

const lookEvery = 20
const limit = 15_000
/** More than there are workers, so that each would have had its turn. */
const requests = 8

function serving(proxy: RunningProxy): Promise<unknown> {
  return proxy.until('the router', ({ namespaces: [first], workers }) => {
    const areReady = workers.every(({ state }) => state === 'ready')
    return areReady && first?.state === 'serving' && first.interception === 'applied'
  })
}

/** Nothing of another test, or of another run of this one, may be taken for a stray. */
function account(place: number): string {
  return String(100_000 + process.pid * 10 + place)
}

async function openScene(t: Test, user: string, by?: readonly string[]) {
  const stage = await makeStage(t)
  const [router] = await makeRoutersWithGuests(t, stage.netnsFolder, 1)
  const copy = new HostileCopy(openFolder(t), new SeededRandom(1))
  t.teardown(() => copy.endChildren())
  const set = ['workers.count=2', `workers.user=${user}`, 'limits.timeout_drain=1s']
  const start = () =>
    startProxyOn(t, stage, { program: copy.program, set, ...(by !== undefined && { by }) })
  const ask = async (): Promise<string[]> => {
    const endings: string[] = []
    for (let count = 0; count < requests; count += 1) {
      const { kind } = await askOnce(router!.target, requestText(router!.target.path, false))
      endings.push(kind)
    }
    return endings
  }
  return { copy, start, ask }
}

/** As the unit restricts it, the proxy sees no descriptors of other users. */
function asUnit(): readonly string[] {
  const kept = capabilitiesOfUnit().map((name) => `+${name}`)
  return ['setpriv', `--bounding-set=-all,${kept.join()}`, 'env', '-i']
}

function isOf(pid: number, user: string): boolean {
  return processStatus(pid)?.userIds.every((id) => id === Number(user)) === true
}

const allRight = Array.from({ length: requests }, () => 'right')

if (skipUnlessPrivileged(t)) {
  t.test('no worker can start a process', async (t) => {
    const { start } = await openScene(t, account(1))
    const { workers } = await (await start()).status()
    for (const { pid } of workers) {
      t.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max processes +0 +0 /m)
    }
  })

  t.test('workers of another proxy that listen in the way are let be', async (t) => {
    const stage = await makeStage(t)
    const [router] = await makeRoutersWithGuests(t, stage.netnsFolder, 1)
    const set = ['workers.count=1', `workers.user=${account(5)}`, 'limits.timeout_drain=1s']
    const first = await startProxyOn(t, stage, { set })
    await serving(first)
    const before = (await first.status()).workers

    const other = await makeStage(t)
    symlinkSync(
      `/run/netns/${router!.netns}`,
      join(other.netnsFolder, `qrouter-${router!.routerId}`),
    )
    const second = await startProxyOn(t, other, { set: [...set, 'intercept.enabled=false'] })
    const { namespaces } = await second.until(
      'failed',
      ({ namespaces: [one] }) => one?.state === 'failed',
    )
    t.match(namespaces[0]?.why, /EADDRINUSE/)
    t.same(
      (await first.status()).workers.map(({ pid }) => pid),
      before.map(({ pid }) => pid),
    )
    t.notMatch(await second.metrics(), /breach="child"/)
    await second.stop()
  })

  t.test('a child that holds the sockets ends soon after its worker', async (t) => {
    const { copy, start, ask } = await openScene(t, account(2), asUnit())
    const proxy = await start()
    await serving(proxy)
    copy.turn()
    const [{ pid } = { pid: 0 }] = (await proxy.status()).workers
    process.kill(pid, 'SIGKILL')
    await until(() => copy.holding().length > 0, lookEvery)
    const began = performance.now()
    copy.turnBack()
    await until(() => copy.running().length === 0, lookEvery)
    t.comment(`no child ${Math.round(performance.now() - began)} ms after the last hostile worker`)
    await serving(proxy)
    t.same(await ask(), allRight)
    t.match(await proxy.metrics(), /overlapd_proxy_worker_breaches_total\{breach="child"\} [1-9]/)
    t.match(proxy.log(), /Killed processes of the account of the workers/)
  })

  for (const [sight, user, by] of [
    ['sees descriptors', account(3), undefined],
    ['sees no descriptors', account(4), asUnit()],
  ] as const) {
    t.test(
      `the next supervisor, which ${sight}, ends a child that listens where it has to`,
      async (t) => {
        const { copy, start, ask } = await openScene(t, user, by)
        const stranger = spawn(
          'setpriv',
          [
            `--reuid=${user}`,
            `--regid=${user}`,
            '--clear-groups',
            '--no-new-privs',
            'sleep',
            '1000',
          ],
          { stdio: 'ignore' },
        )
        t.teardown(() => stranger.kill('SIGKILL'))
        const proxy = await start()
        await serving(proxy)
        copy.turn(true)
        // The supervisor looks again two seconds after the end of a worker, which may be before it is killed.
        copy.holdBackChildren()
        const good = (await proxy.status()).workers.map(({ pid }) => pid)
        for (const pid of good) process.kill(pid, 'SIGKILL')
        await until(() => copy.holding().length >= good.length, lookEvery)
        const hostile = (await proxy.status()).workers.map(({ pid }) => pid)
        process.kill(proxy.pid, 'SIGKILL')
        await proxy.ended
        for (const pid of hostile) process.kill(pid, 'SIGKILL')
        copy.turnBack()
        copy.bringUpChildren()
        const children = copy.running()
        t.ok(children.length >= good.length, 'children go on by themselves')
        await until(() => children.every((pid) => isOf(pid, user)), lookEvery)

        const began = performance.now()
        const next = await start()
        await serving(next)
        const took = Math.round(performance.now() - began)
        t.comment(`serves after ${took} ms`)
        t.ok(took < limit)
        t.same(copy.running(), [])
        t.equal(
          stranger.exitCode ?? stranger.signalCode,
          null,
          'another program of the account lives',
        )
        t.same(await ask(), allRight)
        // More where a hostile worker had not ended yet.
        const killed = /overlapd_proxy_worker_breaches_total\{breach="child"\} (\d+)/
        const [, count] = killed.exec(await next.metrics()) ?? []
        t.ok(Number(count) >= children.length, `${count} were killed`)
      },
    )
  }
}
