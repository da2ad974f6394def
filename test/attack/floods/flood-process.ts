import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Issued } from '../../support/test-authority.ts'
import type { Teardowns } from '../../support/teardowns.ts'
import type { Flood } from './flood.ts'

/** Where a flood goes, and from which addresses. */
export interface FloodTarget {
  readonly host: string
  readonly port: number
  /** Empty: the kernel's choice. */
  readonly addresses: readonly string[]
  readonly tls?: Issued & { readonly caFile: string }
}

export type FloodOrder =
  | {
      readonly kind: 'start'
      readonly flood: Flood
      readonly target: FloodTarget
      /** How long each wave of connections is held, in milliseconds. */
      readonly hold: number
    }
  | { readonly kind: 'stop' }

/** What a flood has done. */
export interface FloodReport {
  /** Requests, and connections without any. */
  readonly tried: number
  /** Requests that had to be answered and were not, by what came instead. */
  readonly failed: Readonly<Record<string, number>>
}

/**
 * A process that floods. It gets what processor time nobody else wants: a guest has processors of its own, and taking those of the
 * proxy away would not be an attack on the proxy.
 */
export class FloodProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** @param netns under /run/netns. Absent: in that of this process */
  static start(t: Teardowns, netns?: string): FloodProcess {
    const program = fileURLToPath(new URL('flood-program.ts', import.meta.url))
    const enter = netns === undefined ? [] : ['nsenter', `--net=/run/netns/${netns}`]
    const words = ['-n', '39', ...enter, process.execPath, ...process.execArgv, program]
    const child = spawn('nice', words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    t.teardown(() => child.kill('SIGKILL'))
    return new FloodProcess(child)
  }

  start(flood: Flood, target: FloodTarget, hold: number): void {
    this.#order({ kind: 'start', flood, target, hold })
  }

  /** Resolves once the last wave is over. */
  async stop(): Promise<FloodReport> {
    this.#order({ kind: 'stop' })
    const [report] = (await once(this.#child, 'message')) as [FloodReport]
    return report
  }

  #order(order: FloodOrder): void {
    this.#child.send(order)
  }
}
