import { setTimeout as pause } from 'node:timers/promises'
import { requestAdmin } from '../../../lib/http/admin-client.ts'
import { get } from '../../support/raw-http.ts'
import {
  makeStage,
  openFolder,
  startProxyOn,
  type RunningProxy,
} from '../../support/running-proxy.ts'
import { until } from '../../support/until.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { GuestSeats } from '../guest-seats.ts'
import { HostileCopy } from './hostile-copy.ts'

/** For the next supervisor, and for workers that are workers again. */
const recovery = 15_000

/** A program in place of the workers, in a whole proxy. */
export const hostileProgram: AttackClass = {
  name: 'hostile-program',
  what: 'workers that were broken into send the supervisor random messages and keep its sockets: it goes on, and so does the next',
  needsRoot: true,
  forwarding: ['agent'],
  async run(context) {
    const { t, report } = context
    const seats = await GuestSeats.make(t, { routers: 1, guestsPerRouter: 1, addressesPerGuest: 1 })
    const folder = openFolder(t)
    const copy = new HostileCopy(folder, context.random)
    const { program } = copy
    const stage = await makeStage(t)
    const start = {
      program,
      set: ['workers.count=4', 'workers.user=nobody', 'limits.timeout_drain=1s'],
    }
    const proxy = await startProxyOn(t, stage, start)
    seats.nameIn(stage.netnsFolder)
    await untilServing(proxy)
    const attack = new ProgramAttack(context, seats, copy)
    t.teardown(() => copy.endChildren())
    context.begin()
    copy.turn()
    await killWorkers(proxy)
    while (!context.isOver()) {
      await attack.lookAt(proxy)
      report.tried(copy.newMessages())
      await pause(20)
    }
    await attack.checkSupervisor(proxy)
    // The next supervisor finds workers that were broken into, and whatever they hold.
    process.kill(proxy.pid, 'SIGKILL')
    copy.turnBack()
    await attack.recover(() => startProxyOn(t, stage, start))
  },
}

async function untilServing(proxy: RunningProxy): Promise<void> {
  await proxy.until('the router', ({ namespaces, workers }) => {
    const [first] = namespaces
    const areReady = workers.every(({ state }) => state === 'ready')
    return areReady && first?.state === 'serving' && first.interception === 'applied'
  })
}

async function killWorkers(proxy: RunningProxy): Promise<void> {
  for (const { pid } of (await proxy.status()).workers) if (pid > 0) process.kill(pid, 'SIGKILL')
}

class ProgramAttack {
  readonly #context: AttackContext
  readonly #seats: GuestSeats
  readonly #copy: HostileCopy

  constructor(context: AttackContext, seats: GuestSeats, copy: HostileCopy) {
    this.#context = context
    this.#seats = seats
    this.#copy = copy
  }

  /** Whatever workers say, operators are answered, and sanely. */
  async lookAt(proxy: RunningProxy): Promise<void> {
    const { report, random } = this.#context
    const path = random.pick(['/ready', '/status', '/metrics', '/explain?request=abcdefgh'])
    report.othersTried()
    const answer = await Promise.race([
      requestAdmin(proxy.adminSocket, path).catch(() => undefined),
      pause(5_000).then(() => undefined),
    ])
    if (answer === undefined) report.fault('crashed', `${path} is not answered`)
    else if (![200, 404, 503].includes(answer.status)) {
      report.fault('wrong', `${path} is answered with ${answer.status}`)
    } else if (path === '/metrics' && /forged|NaN/.test(answer.body)) {
      report.fault('accepted', 'a metric was forged')
    } else if (path === '/status') {
      const { workers } = JSON.parse(answer.body) as { workers: unknown }
      if (!Array.isArray(workers)) report.fault('wrong', 'the status names no workers')
    }
  }

  async checkSupervisor(proxy: RunningProxy): Promise<void> {
    const { report } = this.#context
    const text = await proxy.metrics().catch(() => '')
    const breaches = [...text.matchAll(/^overlapd_proxy_worker_breaches_total\{.*\} (\d+)$/gm)]
    const killed = breaches.reduce((sum, [, count]) => sum + Number(count), 0)
    report.measured('workers killed and counted', killed)
    if (killed === 0) report.fault('accepted', 'no hostile worker was killed and counted')
  }

  /** Everything is as before, soon. */
  async recover(start: () => Promise<RunningProxy>): Promise<void> {
    const { report } = this.#context
    const begun = performance.now()
    const next = await start()
    await untilServing(next)
    const took = Math.round(performance.now() - begun)
    report.measured('next supervisor serves after, ms', took)
    if (took > recovery)
      report.fault('crashed', `the next supervisor needed more than ${recovery} ms`)
    const [seat] = this.#seats.all
    if (seat === undefined) return
    report.othersTried()
    const connection = this.#seats.connect(seat)
    void connection.write(get('/', 'Connection: close'))
    const late = setTimeout(() => connection.close(), recovery)
    if ((await connection.answer())?.status !== 200) {
      report.fault('othersFailed', 'a guest is not answered by the next supervisor')
    }
    clearTimeout(late)
    report.measured('children that had been handed sockets', this.#copy.holding().length)
    const isOver = (): boolean => performance.now() - begun > recovery
    await until(() => this.#copy.runningWithSockets().length === 0 || isOver(), 50)
    const left = this.#copy.runningWithSockets().length
    if (left > 0)
      report.fault('accepted', `${left} children of hostile workers are left with sockets`)
    await next.stop()
  }
}
