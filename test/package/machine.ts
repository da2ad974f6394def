/** A clean Debian with a booted systemd of its own, in a container of this host. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Debian releases that the package is for. */
export const suites = ['bookworm', 'trixie'] as const
export type Suite = (typeof suites)[number]

/** Made once and left for the next run. */
const cache = join(tmpdir(), 'overlapd-package-test')

function cleanRoot(suite: Suite): string {
  const root = join(cache, suite)
  const stamp = join(cache, `${suite}.complete`)
  if (existsSync(stamp)) return root
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  // systemd to boot, and what its shell commands need to reach it.
  const include = '--include=systemd-sysv,dbus,ca-certificates'
  execFileSync('debootstrap', ['--variant=minbase', include, suite, root], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  writeFileSync(stamp, '')
  return root
}

/** What a command in the machine left. */
export interface Outcome {
  readonly code: number
  readonly output: string
}

/** One booted machine. What is written in it is gone with it. */
export class Machine {
  readonly #folder: string
  readonly #root: string
  readonly #container: ChildProcess
  readonly #leader: number

  private constructor(folder: string, root: string, container: ChildProcess, leader: number) {
    this.#folder = folder
    this.#root = root
    this.#container = container
    this.#leader = leader
  }

  /** Makes one and waits until its systemd has started all there is. */
  static async boot(suite: Suite): Promise<Machine> {
    const below = cleanRoot(suite)
    const folder = mkdtempSync(join(tmpdir(), `overlapd-${suite}-`))
    const [root = '', up = '', work = ''] = ['root', 'up', 'work'].map((name) => {
      mkdirSync(join(folder, name))
      return join(folder, name)
    })
    const layers = `lowerdir=${below},upperdir=${up},workdir=${work}`
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, root])
    // The network is the host's, for the packages that ours depends on; namespaces are the container's own.
    const settings = [
      '--boot',
      '--register=no',
      '--keep-unit',
      '--capability=all',
      '--resolv-conf=bind-host',
      '--timezone=off',
      '--console=read-only',
    ]
    const container = spawn('systemd-nspawn', ['-D', root, ...settings], {
      stdio: 'ignore',
      detached: true,
      env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
    })
    for (let left = 600; left > 0; left -= 1) {
      if (container.exitCode !== null)
        throw new Error(`systemd-nspawn ended with ${container.exitCode}`)
      const leader = childOf(container.pid)
      if (leader !== undefined) {
        const machine = new Machine(folder, root, container, leader)
        const { output } = machine.run('systemctl is-system-running')
        if (/^(?:running|degraded)$/m.test(output)) return machine
      }
      await delay(200)
    }
    container.kill('SIGTERM')
    throw new Error(`${suite} did not boot within two minutes`)
  }

  /** Runs a line of shell as root. */
  run(line: string): Outcome {
    const { status, stdout } = spawnSync(
      'nsenter',
      [...this.#entering(), 'sh', '-c', `exec 2>&1; ${line}`],
      {
        encoding: 'utf8',
        maxBuffer: 256 * 1024 * 1024,
      },
    )
    return { code: status ?? 1, output: stdout }
  }

  /** Runs what must succeed. @returns its output */
  must(line: string): string {
    const { code, output } = this.run(line)
    if (code !== 0) throw new Error(`"${line}" ended with ${code}:\n${output}`)
    return output
  }

  /** Starts a line of shell. @returns a promise of its output */
  async start(line: string): Promise<Outcome> {
    const child = spawn('nsenter', [...this.#entering(), 'sh', '-c', `exec 2>&1; ${line}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code: code ?? 1, output }
  }

  /** Copies a file of this host to a path of the machine. */
  copy(from: string, to: string): void {
    copyFileSync(from, join(this.#root, to))
  }

  async end(): Promise<void> {
    const ended = once(this.#container, 'exit')
    this.run('systemctl poweroff')
    await ended
    execFileSync('umount', [this.#root])
    rmSync(this.#folder, { recursive: true })
  }

  #entering(): readonly string[] {
    return ['-t', String(this.#leader), '-m', '-u', '-i', '-n', '-p', '--']
  }
}

/** The first process of a container is the only child of what started it. */
function childOf(pid: number | undefined): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children === '' ? undefined : Number(children.split(' ')[0])
}
