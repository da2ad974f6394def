/** How are rules loaded inside a namespace? By one run of `nft`, entered through a descriptor. */
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import type { NamespaceHandle } from '../netns/namespace-handle.ts'
import { withInterceptionCapabilities } from '../privileges/privileges.ts'

/** The programs, by absolute path: a privileged process never searches its `PATH`. */
export interface NftPrograms {
  readonly nft: string
  readonly nsenter: string
}

const directories = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin']

/** @throws Error naming what is missing */
export function findNftPrograms(): NftPrograms {
  return { nft: findProgram('nft'), nsenter: findProgram('nsenter') }
}

function findProgram(name: string): string {
  for (const directory of directories) {
    const path = `${directory}/${name}`
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  throw new Error(`Cannot find the program "${name}" in ${directories.join(', ')}`)
}

/** Where the child finds the namespace: after its standard streams. */
const handleInChild = 3
/** Of what `nft` has to say; one bad rule can be quoted many times. */
const mostErrorText = 2_000

/**
 * Loads a ruleset in a namespace, all of it or nothing.
 *
 * The namespace is given as an open descriptor, not as a path: should the name be made again meanwhile, the rules still go where
 * the listeners are.
 * @throws Error with what `nft` said; the signal's reason when it is aborted
 */
export async function loadRuleset(
  programs: NftPrograms,
  handle: NamespaceHandle,
  ruleset: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const child = withInterceptionCapabilities(() =>
    spawn(
      programs.nsenter,
      [`--net=/proc/self/fd/${handleInChild}`, '--', programs.nft, '-f', '-'],
      {
        stdio: ['pipe', 'ignore', 'pipe', handle.fd],
        env: {},
        cwd: '/',
        signal,
        killSignal: 'SIGKILL',
      },
    ),
  )
  await ended(child, ruleset)
}

function ended(child: ChildProcess, ruleset: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(0, mostErrorText)
    })
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve()
      else reject(new Error(`nft ended with ${code ?? killedBy}: ${said.trim()}`))
    })
    // A child that ends before it has read everything says why on its own.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(ruleset)
  })
}
