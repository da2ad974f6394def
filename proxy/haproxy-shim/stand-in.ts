/** What happens when an agent of Neutron starts overlapd-haproxy as if it were haproxy? */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { Terminal } from '../../lib/cli/terminal.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { namespaceKeyOf } from '../netns/namespace-handle.ts'
import { attachmentFolderOf, prepareAttachmentFolder } from './attachment-folder.ts'
import { recordName } from './attachment-record.ts'
import { endWaiting, leaveWaiting } from './attach-waiting.ts'
import { requestProxy, ProxyAbsentError } from './control-client.ts'
import type { ControlAnswer } from './control-message.ts'
import {
  longestConfig,
  parseNeutronHaproxyConfig,
  type NeutronHaproxyConfig,
} from './neutron-config.ts'

/** How the stand-in was called. */
export interface StandInCall {
  readonly configFile: string
  readonly controlSocket: string
  readonly terminal: Terminal
}

/** Reads a configuration of Neutron's from its file. @throws Error with what is wrong in it */
export function readNeutronHaproxyConfig(path: string): NeutronHaproxyConfig {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(fd).isFile()) throw new Error('it is no file')
    const bytes = Buffer.alloc(longestConfig + 1)
    return parseNeutronHaproxyConfig(bytes.toString('utf8', 0, readSync(fd, bytes)))
  } finally {
    closeSync(fd)
  }
}

/**
 * Has the running proxy serve the namespace this process is in, leaves a process behind that waits in haproxy's place, and comes back as
 * haproxy does once it has gone to the background.
 *
 * Without a running proxy it warns and succeeds all the same: Neutron's agents do not try a second time, so a failure would
 * leave the guests without metadata for good, whereas the proxy finds what waits for it when it starts.
 * @returns the exit code
 * @throws Error when the namespace cannot be served
 */
export async function standInForHaproxy(call: StandInCall): Promise<number> {
  const { configFile, controlSocket, terminal } = call
  const warn = (text: string): void => {
    terminal.error(`[WARNING]  (${process.pid}) : ${terminalText(text)}\n`)
  }
  const config = readNeutronHaproxyConfig(configFile)
  const ignored = ignoredText(config.ignored)
  if (ignored !== undefined) warn(`${configFile}: ${ignored}`)
  const folder = attachmentFolderOf(controlSocket)
  prepareAttachmentFolder(folder)
  const key = namespaceKeyOf('/proc/self/ns/net')
  if (key === undefined) throw new Error('Cannot find the network namespace: is /proc mounted?')
  const processTag = readProcessTag(terminal.environment['PROCESS_TAG'])
  const record = await leaveWaiting({ folder, config, configFile, key, processTag })
  try {
    const name = recordName(config.identity)
    const answer = await requestOrWarn(controlSocket, name, warn)
    if (answer?.ok === false) throw new Error(answer.why)
    if (answer?.why !== undefined) warn(answer.why)
    writePidFile(config.pidFile, record.pid)
  } catch (cause) {
    endWaiting(folder, record)
    throw new Error(`Cannot serve ${scopeText(config.identity.scope)} by "${configFile}"`, {
      cause,
    })
  }
  return 0
}

/** The warning about directives that have no effect; `undefined` when there are none. */
export function ignoredText(directives: readonly string[]): string | undefined {
  if (directives.length === 0) return undefined
  const isLimiting = directives.includes('stick-table')
  const instead = isLimiting ? ' (to limit requests, set rate_limit of overlapd-agent)' : ''
  return `without effect here: ${directives.join(', ')}${instead}`
}

/** Kept only in the form that Neutron gives it: `haproxy-UUID`. */
function readProcessTag(tag: string | undefined): string | undefined {
  return tag !== undefined && /^[\w.:-]{1,255}$/.test(tag) ? tag : undefined
}

async function requestOrWarn(
  controlSocket: string,
  name: string,
  warn: (text: string) => void,
): Promise<ControlAnswer | undefined> {
  try {
    return await requestProxy(controlSocket, { kind: 'attach', name })
  } catch (cause) {
    if (!(cause instanceof ProxyAbsentError)) throw cause
    warn(`${cause.message}; the namespace is served as soon as it runs`)
    return undefined
  }
}

/** As haproxy writes it: the number and a line feed. A link is not followed, since an agent's user may own the folder. */
export function writePidFile(path: string, pid: number): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW
  const fd = openSync(path, flags | constants.O_NONBLOCK, 0o644)
  try {
    if (!fstatSync(fd).isFile()) throw new Error(`Cannot write "${path}": it is no file`)
    writeSync(fd, `${pid}\n`)
  } finally {
    closeSync(fd)
  }
}
