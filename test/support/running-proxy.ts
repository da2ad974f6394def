/** How do tests get a whole proxy, with its workers, and an agent that says what it was asked? */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Teardowns } from './teardowns.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'

/** Workers run as another user, who cannot use the loader that reads TypeScript: the built program is tested. */
const builtProgram = fileURLToPath(new URL('../../dist/proxy/main.js', import.meta.url))

export interface RunningProxy {
  readonly pid: number
  readonly adminSocket: string
  /** The folder the proxy discovers; put links to namespaces into it. */
  readonly netnsFolder: string
  status(): Promise<ProxyStatus>
  metrics(): Promise<string>
  /** Asks again and again until the status is as wanted. */
  until(what: string, isSo: (status: ProxyStatus) => boolean): Promise<ProxyStatus>
  /** Sends SIGTERM and waits for the end. @returns the exit code */
  stop(): Promise<number | null>
  /** Resolves with the exit code when it ends by itself. */
  readonly ended: Promise<number | null>
  readonly log: () => string
}

/** Everything of a test's own in one folder that other users may enter. */
export function openFolder(t: Teardowns): string {
  const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
  chmodSync(folder, 0o755)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An agent that answers every request with its headers as JSON. */
export async function startEchoAgent(t: Teardowns, socket: string): Promise<void> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(request.headers))
  })
  server.listen(socket)
  await once(server, 'listening')
  chmodSync(socket, 0o666)
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
}

/** Starts `overlapd-proxy serve` on a folder of its own, with an echo agent, and waits until it answers operators. */
export function startProxy(t: Teardowns, ...set: readonly string[]): Promise<RunningProxy> {
  return startProxyFrom(t, builtProgram, ...set)
}

/** The same with a program that lies somewhere else than where it was built. */
export async function startProxyFrom(
  t: Teardowns,
  program: string,
  ...set: readonly string[]
): Promise<RunningProxy> {
  const stage = await makeStage(t)
  return startProxyOn(t, stage, { program, set })
}

/** What one proxy after the other uses: a folder of namespaces, an agent, and sockets for operators. */
export interface ProxyStage {
  readonly folder: string
  readonly netnsFolder: string
}

/** Makes a stage with an echo agent. */
export async function makeStage(t: Teardowns): Promise<ProxyStage> {
  const folder = openFolder(t)
  const netnsFolder = join(folder, 'netns')
  mkdirSync(netnsFolder)
  await startEchoAgent(t, join(folder, 'agent.sock'))
  return { folder, netnsFolder }
}

/** How one of the proxies on a stage is started. */
export interface ProxyStart {
  readonly program?: string
  readonly set?: readonly string[]
  /** Starts it as a service manager does: these words run the words behind them. Then its process is not the one started here. */
  readonly by?: readonly string[]
}

interface SpawnedProxy {
  readonly child: ChildProcess
  readonly adminSocket: string
  readonly ended: Promise<[number | null]>
  readonly log: () => string
}

function spawnProxy(
  { folder, netnsFolder }: ProxyStage,
  start: ProxyStart,
  onLog: (log: string, child: ChildProcess) => void = () => undefined,
): SpawnedProxy {
  const { program = builtProgram, set = [], by = ['env', '-i'] } = start
  if (!existsSync(program)) throw new Error('dist/ is missing: run "npm run build" first')
  const adminSocket = join(folder, 'admin.sock')
  const options = [
    `netns_dir=${netnsFolder}`,
    `agents=${JSON.stringify([join(folder, 'agent.sock')])}`,
    `admin.socket=${adminSocket}`,
    `control.socket=${join(folder, 'control.sock')}`,
    `leases.socket=${join(folder, 'lease.sock')}`,
    ...set,
  ]
  // By way of env, or the test runner adds its own loaders to the program and to its workers.
  const [first = 'env', ...words] = by
  const child = spawn(
    first,
    [
      ...words,
      process.execPath,
      program,
      'serve',
      ...options.flatMap((option) => ['--set', option]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text
      onLog(log, child)
    })
  }
  const ended = endOf(child)
  return { child, adminSocket, ended, log: () => log }
}

/** Workers that live on keep its output open; what it wrote itself is read in the next turns of the event loop. */
async function endOf(child: ChildProcess): Promise<[number | null]> {
  const [code] = (await once(child, 'exit')) as [number | null]
  await turn()
  await turn()
  return [code]
}

/** Starts a proxy and kills it at the moment at which its log matches. @returns its log */
export async function startAndKill(
  stage: ProxyStage,
  start: ProxyStart,
  moment: RegExp,
): Promise<string> {
  const { ended, log } = spawnProxy(stage, start, (text, child) => {
    if (moment.test(text)) child.kill('SIGKILL')
  })
  await ended
  return log()
}

/** Starts a proxy on a stage and waits until it answers operators. */
export async function startProxyOn(
  t: Teardowns,
  stage: ProxyStage,
  start: ProxyStart = {},
): Promise<RunningProxy> {
  const { netnsFolder } = stage
  const { child, adminSocket, ended, log } = spawnProxy(stage, start)
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM')
    return (await ended)[0]
  }
  t.teardown(stop)

  const status = async (): Promise<ProxyStatus> =>
    (await requestAdminJson(adminSocket, '/status')).value as ProxyStatus
  const until: RunningProxy['until'] = async (what, isSo) => {
    for (let tries = 0; tries < 3_000; tries += 1) {
      if (child.exitCode !== null) break
      const now = await status().catch(() => undefined)
      // Another proxy may answer there until this one has taken over.
      const isOurs = now?.pid === child.pid || start.by !== undefined
      if (now !== undefined && isOurs && isSo(now)) return now
      await new Promise((resolve) => {
        setTimeout(resolve, 10)
      })
    }
    throw new Error(
      `The proxy did not come to "${what}": ${JSON.stringify(await status().catch(String))}\n${log()}`,
    )
  }
  await until('ready workers', ({ workers }) => workers.every(({ state }) => state === 'ready'))
  return {
    pid: child.pid ?? 0,
    adminSocket,
    netnsFolder,
    status,
    metrics: async () => (await requestAdmin(adminSocket, '/metrics')).body,
    until,
    stop,
    ended: ended.then(([code]) => code),
    log,
  }
}

/** Some fields of /proc/PID/status of every thread of a process: `CapEff 0000000000000000, NoNewPrivs 1`. */
export function threadStatuses(pid: number, names: readonly string[]): string[] {
  const fields = new RegExp(`^(${names.join('|')}):[ \\t]*(.*?) *$`, 'gm')
  return readdirSync(`/proc/${pid}/task`).map((thread) =>
    [...readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').matchAll(fields)]
      .map(([, name, value]) => `${name} ${value}`.trimEnd())
      .join(', '),
  )
}
