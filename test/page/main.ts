/**
 * How does the page look and work in a browser? Seven states at three widths in light and dark: no error on the console, nothing that axe-core
 * finds, every link reachable by keyboard, and nothing that a tenant wrote runs. Pictures go to `--out FOLDER`; `--only NAME` looks at one state.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import axe from 'axe-core'
import { chromium, type Browser, type Page } from 'playwright-core'
import { servePage } from '../../deploy/page/serve-page.ts'
import { until } from '../support/until.ts'
import { playedRequest, playedStates, playHost, type PlayedState } from '../support/played-host.ts'

const { out: pictures, only } = parseArgs({
  options: { out: { type: 'string' }, only: { type: 'string' } },
}).values
const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const widths = [360, 900, 1600]
const hostileNames = [
  '<script>document.title="owned"</script>',
  '"><img src=x onerror=document.title=1>',
  `\u202Eevil ${'x'.repeat(255)}`,
]
const faults: string[] = []

interface AxeViolation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

function fault(where: string, what: string): void {
  faults.push(`${where}: ${what}`)
  process.stdout.write(`not ok  ${where}: ${what}\n`)
}

async function violations(page: Page): Promise<readonly AxeViolation[]> {
  // Through the debugger's protocol, which the policy of the page does not bind.
  await page.evaluate(axe.source)
  return await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: AxeViolation[] }> }
    }
    return (await axe.run()).violations
  })
}

async function look(page: Page, where: string): Promise<void> {
  for (const { id, nodes } of await violations(page)) {
    fault(
      where,
      `axe ${id}: ${nodes.length} × ${nodes[0]?.html.slice(0, 160)} ${nodes[0]?.failureSummary?.replaceAll('\n', ' ')}`,
    )
  }
  const overflow = await page.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth',
  )
  if (overflow > 0) fault(where, `the page is ${overflow} pixels wider than the window`)
  if (pictures !== undefined) {
    await page.screenshot({
      path: join(pictures, `${where.replaceAll(/[ /?=]+/g, '-')}.png`),
      fullPage: true,
    })
  }
}

/** Tab goes through everything that can be used, in the order of the page, and shows where it is. */
async function walk(page: Page, where: string): Promise<void> {
  const wanted = await page.evaluate<number>(
    '[...document.querySelectorAll("a[href], button, input, summary, [tabindex=\\"0\\"]")].filter((one) => one.checkVisibility()).length',
  )
  const reached = new Set<string>()
  for (let press = 0; press < wanted + 2; press += 1) {
    await page.keyboard.press('Tab')
    const [path, isShown] = await page.evaluate<[string, boolean]>(
      '(() => { const all = [...document.querySelectorAll("*")]; const one = document.activeElement; return [String(all.indexOf(one)), one === document.body || getComputedStyle(one).outlineStyle !== "none"] })()',
    )
    if (path !== '1' && !isShown && path !== '0')
      fault(where, `focus is not shown at element ${path}`)
    reached.add(path)
  }
  if (reached.size < wanted) fault(where, `Tab reaches ${reached.size} of ${wanted}`)
}

interface Visit {
  readonly name: string
  readonly state: PlayedState
  readonly isWhole: boolean
}

async function visit(browser: Browser, { name, state, isWhole }: Visit): Promise<void> {
  const sockets = mkdtempSync(join(tmpdir(), 'ovp-'))
  const host = await playHost(sockets, state)
  const served = await servePage({ addresses: host.addresses, hostName: 'compute-17.example.org' })
  const context = await browser.newContext({ viewport: { width: 900, height: 900 } })
  const page = await context.newPage()
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) fault(name, `console: ${message.text()}`)
  })
  page.on('pageerror', (error) => fault(name, `exception: ${error.message}`))
  try {
    await until(() => host.isWatched())
    for (const event of state.requests ?? []) host.publish(event)
    const isStreaming = page.waitForResponse((answer) => answer.url().endsWith('/events'))
    await page.goto(served.link)
    await isStreaming
    const base = page.url()
    if (state.requests !== undefined) {
      const rows = await page.locator('.request').count()
      if (rows === 0) fault(name, 'no request is shown')
      host.publish(playedRequest(99, { requestId: 'live' }))
      await page.locator('.request a[href="request?id=live"]').waitFor()
    }
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: scheme })
      for (const width of widths) {
        if (!isWhole && (width !== 900 || scheme === 'dark')) continue
        await page.setViewportSize({ width, height: 900 })
        await look(page, `${name} ${scheme} ${width}`)
      }
    }
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width: 900, height: 900 })
    await walk(page, name)
    const views = [
      'guests',
      'networks',
      'requests',
      'requests?only=refused',
      'reasons',
      'reason?code=no_port',
      `request?id=${playedRequest(1).requestId}`,
      'guests?q=10.0.0.10',
      `guest?scope=network/00000000-0000-4000-8000-000000000001&ip=10.0.0.10`,
    ]
    if (name === 'guests-3' || name === 'refusals' || name.startsWith('hostile')) {
      for (const view of views) {
        await page.goto(`${base}${view}`)
        await page.setViewportSize({ width: 360, height: 900 })
        await look(page, `${name} ${view} 360`)
        await page.setViewportSize({ width: 1600, height: 900 })
        await look(page, `${name} ${view} 1600`)
      }
    }
    if ((await page.title()).startsWith('owned')) fault(name, 'a name ran as a program')
    process.stdout.write(`looked  ${name}\n`)
  } finally {
    await context.close()
    await served.close()
    await host.close()
    rmSync(sockets, { recursive: true })
  }
}

const program = programs.find((path) => existsSync(path))
if (program === undefined) {
  process.stderr.write(
    `This needs Chromium in one of ${programs.join(', ')}: apt-get install chromium\n`,
  )
  process.exit(1)
}
if (pictures !== undefined) mkdirSync(pictures, { recursive: true })
const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] })
try {
  for (const [name, state] of Object.entries(playedStates())) {
    if (only !== undefined && only !== name) continue
    await visit(browser, { name, state, isWhole: true })
  }
  for (const [number, hostileName] of hostileNames.entries()) {
    if (only !== undefined && only !== 'hostile') continue
    const requests = [
      playedRequest(1, {
        target: `/${hostileName}`,
        instanceId: hostileName,
        requestId: hostileName,
      }),
    ]
    const state = { networks: 3, guestsPerNetwork: 1, hostileName, requests, refusals: requests }
    await visit(browser, { name: `hostile-${number}`, state, isWhole: false })
  }
} finally {
  await browser.close()
}
process.stdout.write(faults.length === 0 ? 'All well.\n' : `${faults.length} faults.\n`)
process.exitCode = faults.length === 0 ? 0 : 1
