/** How does a namespace get a name under which it lives on, and lose it? As `ip netns add` and `ip netns delete` do it. */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { callLibc, isErrno } from '../../lib/linux/libc.ts'
import { setLink, findLink } from '../netlink/links.ts'
import { NetlinkSocket } from '../netlink/netlink.ts'
import type { NamespaceWindow } from './window.ts'

/** @see mount(2), umount(2) */
const mountFlags = { bind: 4_096, recursive: 16_384, shared: 1 << 20 } as const
const detachWithoutFollowing = 2 | 8

/**
 * Makes a namespace and mounts it under a path, so that it lives without any process. Loopback is up. The folder is made when there is
 * none, and shared with other mount namespaces as `ip netns` shares it.
 * @throws NodeJS.ErrnoException EEXIST when the name is taken, {SystemCallError} for what the kernel refuses
 */
export function makeNamedNamespace(window: NamespaceWindow, folder: string, path: string): void {
  // Whatever the mask of this process, others are to see names of namespaces.
  if (mkdirSync(folder, { recursive: true }) !== undefined) chmodSync(folder, 0o755)
  share(folder)
  closeSync(openSync(path, 'wx', 0o000))
  try {
    window.runInNew(() => {
      callLibc('mount', '/proc/thread-self/ns/net', path, 'none', mountFlags.bind, 0)
      prepareInside()
    })
  } catch (cause) {
    unmount(path)
    unlinkSync(path)
    throw cause
  }
}

/** What Neutron does in each namespace that it makes. @see neutron/agent/linux/ip_lib.py ensure_namespace */
function prepareInside(): void {
  const socket = new NetlinkSocket()
  try {
    const loopback = findLink(socket, 'lo')
    if (loopback !== undefined) setLink(socket, loopback.index, { up: true })
  } finally {
    socket.close()
  }
  setKernelParameter('net/ipv4/conf/all/promote_secondaries', '1')
}

/** Sets a parameter of the current namespace. Where that cannot be, things go on without it. */
export function setKernelParameter(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value)
  } catch {
    // A kernel without the parameter, or a read-only /proc.
  }
}

/** Takes the name; the namespace lives on for as long as something else holds it. A name that is gone is no error. */
export function deleteNamedNamespace(path: string): void {
  unmount(path)
  try {
    unlinkSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
  }
}

function unmount(path: string): void {
  try {
    callLibc('umount2', path, detachWithoutFollowing)
  } catch (cause) {
    // Nothing is mounted there, or nothing is there.
    if (!isErrno(cause, 'EINVAL') && !isErrno(cause, 'ENOENT')) throw cause
  }
}

function share(folder: string): void {
  const { bind, recursive, shared } = mountFlags
  try {
    callLibc('mount', '', folder, 'none', shared | recursive, 0)
  } catch (cause) {
    if (!isErrno(cause, 'EINVAL')) throw cause
    callLibc('mount', folder, folder, 'none', bind | recursive, 0)
    callLibc('mount', '', folder, 'none', shared | recursive, 0)
  }
}

/**
 * Why names that are made here would not be seen by the rest of the host: this process lives in a mount namespace that only receives.
 * @returns `undefined` when they are seen, as far as is known
 * @see mount_namespaces(7)
 */
export function whyNamesStayHere(folder: string, mountInfo?: string): string | undefined {
  const text = mountInfo ?? readFileSync('/proc/thread-self/mountinfo', 'utf8')
  let nearest: { readonly point: string; readonly tags: readonly string[] } | undefined
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    const point = fields[4]
    const dash = fields.indexOf('-')
    if (point === undefined || dash === -1 || !isWithin(folder, point)) continue
    // Of two mounts on one place the later one counts.
    if (nearest === undefined || point.length >= nearest.point.length) {
      nearest = { point, tags: fields.slice(6, dash) }
    }
  }
  const receives = nearest?.tags.some((tag) => tag.startsWith('master:')) === true
  return receives
    ? `mounts made in "${folder}" do not reach the host: this process lives in a mount namespace of its own (in a systemd unit: no Protect* and Private* settings that need one, see deploy/systemd/README.md; in a container: share the folder with propagation "shared")`
    : undefined
}

function isWithin(folder: string, point: string): boolean {
  return point === '/' || folder === point || folder.startsWith(`${point}/`)
}
