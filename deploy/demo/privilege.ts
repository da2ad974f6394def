import { spawn, spawnSync } from 'node:child_process'

/** How the demo can get at network namespaces on this machine. */
export type Ground =
  /** We may make namespaces as we are. */
  | { readonly kind: 'ready'; readonly rootless: boolean }
  /** A user namespace gives us the right; the demo starts itself again inside one. */
  | { readonly kind: 'user-namespace' }
  /** Neither: two loopback listeners must do. */
  | { readonly kind: 'loopback'; readonly why: string }

/** Set for the process inside the user namespace, so that it does not start itself a second time. */
export const rootlessVariable = 'OVERLAPD_DEMO_ROOTLESS'

/** Root of a user namespace, with a network and a mount table of its own. */
const unshareArguments = [
  '--user',
  '--map-root-user',
  '--net',
  '--mount',
  '--fork',
  '--pid',
  '--mount-proc',
]

/** What the demo is made of; fails at once where it may not. */
const addPair = ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1']

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** Finds out by trying, without leaving anything behind. */
export function findGround(environment: NodeJS.ProcessEnv): Ground {
  if (process.platform !== 'linux') {
    return { kind: 'loopback', why: `${process.platform} has no network namespaces` }
  }
  for (const program of ['ip', 'nft', 'nsenter']) {
    if (!works(program, ['-V']))
      return { kind: 'loopback', why: `the program "${program}" is missing` }
  }
  const rootless = environment[rootlessVariable] === '1'
  if (works('unshare', ['--net', ...addPair])) {
    return { kind: 'ready', rootless }
  }
  if (!rootless && works('unshare', [...unshareArguments, ...addPair])) {
    return { kind: 'user-namespace' }
  }
  return { kind: 'loopback', why: 'this user may not make network namespaces' }
}

/** Starts this very command again as root of a user namespace. @returns its exit code */
export function runInUserNamespace(environment: NodeJS.ProcessEnv): Promise<number> {
  // A private /run lets iproute2 keep its namespace files without touching the host's.
  const inner = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$0" "$@"'
  const child = spawn(
    'unshare',
    [...unshareArguments, 'sh', '-c', inner, process.execPath, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...environment, [rootlessVariable]: '1' } },
  )
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}
