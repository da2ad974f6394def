/** One way to break a host: what each command says of it, and what mends it. */
import type { Test } from 'tap'
import type { HealthState } from '../../lib/operator/health.ts'
import type { HostPage } from './host-page.ts'
import { until, type OperatorHost } from './operator-host.ts'
import { carryOut } from './remedies.ts'

/** How a host is broken, and what has to be said of it. */
export interface Break {
  readonly name: string
  /** Whose health shows it. */
  readonly daemon: 'proxy' | 'agent'
  readonly code: string
  readonly state: HealthState
  /** The code of doctor and audit, where they know more. @default that of the health */
  readonly finding?: string
  /** Takes more than some seconds: left out of the usual run. */
  readonly isSlow?: true
  /** Some that come with it, and are no other break. */
  readonly besides?: readonly string[]
  /** The daemon's log has to say it. @default the line of its health */
  readonly log?: RegExp
  /** The sentence of the page. @default that of the state */
  readonly page?: string
  /** What doctor or the audit has to name, such as a process. */
  readonly names?: RegExp
  breakIt(t: Test): Promise<void>
  /**
   * Does what the remedy says in words. What it says in commands is run after that, as doctor printed it.
   * @param remedy as doctor printed it
   */
  mend?(remedy: string, t: Test): Promise<void>
  /** Waits for what the commands have changed, and takes away what else the break has left. */
  cleanUp?(t: Test): Promise<void>
  /** The commands are not run here, for this reason. */
  readonly notRun?: string
}

/** Breaks, looks with each command, mends, and looks again. */
export async function tryBreak(t: Test, host: OperatorHost, one: Break): Promise<void> {
  const { daemon, code, state, finding = code } = one
  await one.breakIt(t)
  const report = await host.untilProblem(daemon, code)
  t.equal(report.state, state, '/ready has the state')
  t.equal(report.ready, state !== 'not_ready')
  const problem = report.problems.find((each) => each.code === code)
  t.match(problem, { effect: /\S/, remedy: /\S/, since: /^20/, howMany: Number })
  t.match(await host.metrics(daemon), `overlapd_health_problems{daemon="${daemon}",code="${code}"}`)

  const health = await host.command('health')
  t.match(health.out, `(${code}, since `, 'health names it')
  t.match(health.out, `→ ${problem?.remedy}`)
  if (state === 'not_ready') t.not(health.exitCode, 0)
  t.notMatch(health.out, new RegExp(`^${daemon}: ready`, 'm'))

  const doctor = await host.doctor()
  const found = doctor.findings.filter((each) => each.code === finding)
  t.match(found, [{ effect: /\S/, remedy: /\S/ }], 'doctor names it')
  t.equal(doctor.exitCode, doctor.findings.some(({ level }) => level === 'fail') ? 1 : 0)
  const audit = await host.audit()
  t.ok(
    audit.findings.some((each) => each.code === finding),
    'the audit names it',
  )
  if (one.names) t.match(JSON.stringify([...found, ...audit.findings]), one.names)

  const wanted = one.log ?? new RegExp(`"message":"Health: .*|"code":"${code}"`)
  const begun = Date.now()
  while (!wanted.test(host.log(daemon)) && Date.now() - begun < 5_000) await host.report(daemon)
  t.match(host.log(daemon), wanted, 'the log says it')

  await pageShows(t, host.page, { code, words: one.page ?? pageWords[state], ...problem })

  const remedy = found[0]?.remedy ?? ''
  await one.mend?.(remedy, t)
  if (one.notRun === undefined) await carryOut(t, host, remedy)
  else t.comment(`not run: ${one.notRun}`)
  await one.cleanUp?.(t)
  await host.untilWell(...(one.besides ?? []))
  t.pass('the remedy mends it')
}

/** What the page says of a host in each state. */
const pageWords: Readonly<Record<HealthState, string>> = {
  ready: 'Every guest can be served',
  degraded: 'Some guests cannot be served',
  not_ready: 'No guest can be served',
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}

/** Waits until the page names a problem, and looks for its verdict and the remedy. */
export async function pageShows(
  t: Test,
  page: HostPage,
  wanted: {
    readonly code: string
    readonly words: string | RegExp
    readonly remedy?: string
  },
): Promise<void> {
  const { code, words, remedy = '' } = wanted
  let overview = ''
  await until(`the page shows ${code}`, async () => {
    overview = await page.overview()
    return overview.includes(`reason?code=${code}`)
  })
  t.match(overview, words, 'the page says how bad it is')
  t.match(overview, escaped(remedy), 'the page has the remedy')
}
