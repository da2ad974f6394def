import { existsSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runSteadyLoad } from '../bench/steady-load.ts'
import { runInNetns, skipUnlessPrivileged } from '../support/netns.ts'
import { makeRoutersWithGuests } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn } from '../support/running-proxy.ts'

const networks = 20
const manager = fileURLToPath(new URL('../support/service_manager.py', import.meta.url))

if (skipUnlessPrivileged(t)) {
  t.test('a restart by the service manager keeps sockets, rules and waiting guests', async (t) => {
    const stage = await makeStage(t)
    const routers = await makeRoutersWithGuests(t, stage.netnsFolder, networks)
    const service = await startProxyOn(t, stage, {
      by: ['python3', manager, join(stage.folder, 'notify.sock')],
      set: ['restart.service_store=true'],
    })
    const said = (text: RegExp): readonly string[] => service.log().match(text) ?? []
    const untilServing = async (not: number | undefined, starts = 1): Promise<number> => {
      const { pid } = await service.until(
        'every network',
        ({ pid, namespaces, workers }) =>
          pid !== not &&
          said(/READY=1 MAINPID=/g).length === starts &&
          said(/manager: stores \d+/g).at(-1) === 'manager: stores 22' &&
          namespaces.length === networks &&
          namespaces.every(
            ({ state, interception }) => state === 'serving' && interception === 'applied',
          ) &&
          workers.every(({ state }) => state === 'ready'),
      )
      return pid
    }
    let main = await untilServing(undefined)

    const result = await runSteadyLoad({
      targets: routers.map(({ target }) => target),
      requestsPerSecond: 30,
      margin: 500,
      event: async () => {
        process.kill(service.pid, 'SIGHUP')
        main = await untilServing(main, 2)
        process.kill(main, 'SIGKILL')
        main = await untilServing(main, 3)
      },
    })
    const { requests, longestPause, endings, latencies } = result
    t.comment(
      `restarted and killed: ${requests} requests, ${endings.errors} failed, ${endings.wrong} wrong, longest pause ${longestPause.toFixed(0)} ms, slowest answer ${latencies.percentile(1)?.toFixed(0)} ms`,
    )
    t.match(endings.figures(), { errors: 0, wrong: 0 }, JSON.stringify(endings.errorKinds))
    t.equal(said(/manager: started \d+ with 22 descriptors/g).length, 2)
    t.equal(said(/READY=1 MAINPID=/g).length, 3)
    t.notMatch(service.log(), /EADDRINUSE|Worker died/)

    const [gone] = readdirSync(stage.netnsFolder)
    unlinkSync(join(stage.netnsFolder, gone!))
    const { workers } = await service.until(
      'one socket less, and those of two workers',
      () => said(/manager: stores \d+/g).at(-1) === 'manager: stores 21',
    )
    t.equal(await service.stop(), 0)
    for (const { pid } of workers) t.equal(await isGone(pid), true, 'and no worker is left')
    const { stdout } = await runInNetns(routers[0]!.netns, [
      'nft',
      'list',
      'table',
      'inet',
      'overlapd',
    ])
    t.match(stdout, /redirect to :9697/, 'rules stay for the next proxy')
  })
}

/** Without a store nobody holds a worker's channel, which it sees within a moment. */
async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 3_000; tries += 1) {
    if (!existsSync(`/proc/${pid}`)) return true
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  }
  return false
}
