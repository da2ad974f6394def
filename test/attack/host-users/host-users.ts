import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AgentProgram } from '../../support/agent-program.ts'
import { runProgram } from '../../support/netns.ts'
import type { SeededRandom } from '../../support/random.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain } from '../attacked-chain.ts'

/** Nobody in particular: neither root, nor whom the workers run as, nor of any group. */
const stranger = 41_414
/** A connection with garbage is left after this. */
const patience = 1_000

/** Users of the host who are not to be trusted, at every socket of both daemons and at the places where sockets will be. */
export const hostUsers: AttackClass = {
  name: 'host-users',
  what: 'strangers connect to every socket, garbage is sent to it, files lie where sockets belong',
  needsRoot: true,
  async run(context) {
    const chain = await AttackedChain.start(context)
    const sockets = [
      ...socketsIn(chain.folder),
      // Beside the proxy's own lies that of the agent which the stage has and nobody uses.
      ...socketsIn(dirname(chain.proxy.adminSocket)).filter(
        (path) => nameOf(path) !== 'agent.sock',
      ),
    ]
    context.report.measured('sockets', sockets.length)
    await knock(context, sockets)
    context.begin()
    await Promise.all([
      chain.watch(chain.seats.all),
      throwGarbage(context, sockets),
      layTraps(context, chain.folder),
    ])
    await chain.checkProcesses('garbage on the sockets of the host')
  },
}

/** A stranger connects to each socket and is turned away by the kernel. */
async function knock({ report }: AttackContext, sockets: readonly string[]): Promise<void> {
  const program =
    'const s=require("net").connect(process.argv[1]);s.on("connect",()=>process.exit(0));s.on("error",(e)=>{console.log(e.code);process.exit(1)})'
  for (const path of sockets) {
    report.tried()
    const words = ['setpriv', `--reuid=${stranger}`, `--regid=${stranger}`, '--clear-groups']
    const { code, stdout } = await runProgram([...words, process.execPath, '-e', program, path])
    if (code === 0) report.fault('accepted', `a stranger connected to ${nameOf(path)}`)
    else if (stdout.trim() !== 'EACCES') {
      report.fault(
        'wrong',
        `a stranger at ${nameOf(path)} met "${stdout.trim()}" instead of EACCES`,
      )
    }
  }
}

function socketsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path).isSocket())
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

const shapes: readonly ((random: SeededRandom) => Buffer)[] = [
  (random) => Buffer.from(Array.from({ length: random.below(2_000) }, () => random.below(256))),
  () => Buffer.from('{'.repeat(10_000)),
  () => Buffer.from('a'.repeat(200_000)),
  () => Buffer.from('null\n[]\n5\n"x"\n{}\n'),
  (random) =>
    Buffer.from(
      `${JSON.stringify({
        kind: random.pick(['attach', 'adopt', 'lease', 'hello', 'metrics', 'listening']),
        name: random.pick(['../x', '', 'qrouter-x', 5, null]),
        id: random.pick([1, -1, 1e308, 'x', null]),
        listeners: random.pick([[], 5, [null], {}]),
      })}\n`.repeat(1 + random.below(20)),
    ),
  (random) =>
    Buffer.from(
      `${random.pick(['GET', 'POST', 'PUT', 'BREW'])} ${random.pick(['/status', '/explain?request=%00', '/../x', '*', '/metrics?x'])} HTTP/1.1\r\nHost: x\r\n` +
        `${random.pick(['', 'Content-Length: 99999999\r\n', 'Transfer-Encoding: chunked\r\n', 'X-Neutron-Router-ID: x\r\nX-Neutron-Network-ID: y\r\n'])}\r\n`,
    ),
]

/** Whoever may connect, root for one, sends nonsense and goes without a word. */
async function throwGarbage(context: AttackContext, sockets: readonly string[]): Promise<void> {
  const { random, report } = context
  while (!context.isOver()) {
    const path = random.pick(sockets)
    const bytes = random.pick(shapes)(random)
    report.tried()
    const socket = connect(path)
    socket.on('error', () => undefined)
    // What is not read would fill the socket and hold it.
    socket.resume()
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
    socket.write(bytes)
    const how = random.below(3)
    if (how === 0) socket.end()
    if (how === 1) socket.destroy()
    const abort = new AbortController()
    const late = pause(patience, undefined, { signal: abort.signal }).catch(() => undefined)
    await Promise.race([closed, late])
    abort.abort()
    socket.destroy()
  }
}

/** Where a socket belongs lies something else: the daemon takes nothing away and follows nothing. */
async function layTraps(context: AttackContext, folder: string): Promise<void> {
  const { random, report } = context
  const precious = 'precious'
  const traps: readonly (readonly [what: string, lay: (path: string) => string | undefined])[] = [
    [
      'a file',
      (path) => {
        writeFileSync(path, precious)
        return path
      },
    ],
    [
      'a link to a file',
      (path) => {
        writeFileSync(`${path}.target`, precious)
        symlinkSync(`${path}.target`, path)
        return `${path}.target`
      },
    ],
    [
      'a link to nothing',
      (path) => {
        symlinkSync(`${path}.absent`, path)
        return undefined
      },
    ],
    [
      'a folder',
      (path) => {
        mkdirSync(path)
        return undefined
      },
    ],
  ]
  for (let number = 1; !context.isOver(); number += 1) {
    const [what, lay] = random.pick(traps)
    const socket = random.pick(['agent', 'lease', 'admin'] as const)
    report.tried()
    const place = join(folder, `trap-${number}`)
    mkdirSync(place)
    const paths = { agent: join(place, 'a'), lease: join(place, 'l'), admin: join(place, 'd') }
    const kept = lay(paths[socket])
    const agent = AgentProgram.spawn({
      sockets: paths,
      configFile: join(place, 'agent.json'),
      config: {
        ports: { kind: 'static', static: { file: join(folder, 'ports.json') } },
        compute: { shared_secret_file: join(folder, 'secret') },
        leases: { enabled: true, socket: paths.lease },
        limits: { timeout_drain: '100ms' },
      },
    })
    await agent.untilReady(paths).catch(() => undefined)
    await agent.stop('SIGTERM')
    const isGone = kept !== undefined && (!existsSync(kept) || !lstatSync(kept).isFile())
    if (isGone || (kept !== undefined && readFileSync(kept, 'utf8') !== precious)) {
      report.fault('accepted', `${what} at the place of the socket ${socket} was destroyed`)
    }
    if (existsSync(`${paths[socket]}.absent`)) {
      report.fault('accepted', `${what} at the place of the socket ${socket} was followed`)
    }
  }
}
