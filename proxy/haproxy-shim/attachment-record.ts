/** How does a namespace that Neutron gave to overlapd-haproxy stand in a file? */
import { parseTcpAddress, tcpAddressText, type TcpAddress } from '../../lib/identity/tcp-address.ts'
import {
  identityOf,
  namespaceKinds,
  scopeId,
  type NamespaceIdentity,
} from '../namespaces/identity.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import type { NamespaceKey } from '../netns/namespace-handle.ts'

/**
 * One namespace, who its guests are, and the process that waits in it for as long as Neutron wants it served. The file is
 * JSON of one line in a folder that only root may enter.
 */
export interface AttachmentRecord {
  readonly identity: NamespaceIdentity
  readonly listen: readonly TcpAddress[]
  /** The namespace that the waiting process lives in. */
  readonly namespace: NamespaceKey
  /** The waiting process. While it lives the namespace does, so its key cannot come to mean another one. */
  readonly pid: number
  /** When it started, in the kernel's ticks: distinguishes it from a later process with the same number. */
  readonly startTime: string
  /** File name of the FIFO that it holds open. */
  readonly fifo: string
  /** Where Neutron wrote what it wants, for people. */
  readonly configFile: string
}

/** What a record's file is called without its ending: `router-UUID`. One router or network has one. */
export function recordName({ kind, scope }: NamespaceIdentity): string {
  return `${kind}-${scopeId(scope)}`
}

const namePattern = /^(?:router|network|ovn)-[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$/

/** True for texts that {@link recordName} could have made; all others never become part of a path. */
export function isRecordName(text: unknown): text is string {
  return typeof text === 'string' && namePattern.test(text)
}

/** Ending of a record's file name. */
export const recordEnding = '.json'
/** Ending of the pipe that a waiting process holds open. */
export const fifoEnding = '.wait'
const version = 1
/** @see attachment-folder.ts; a record is some hundred bytes */
export const longestRecord = 16_384

/** A record as it is written to its file. */
export function recordText(record: AttachmentRecord): string {
  const { identity, listen, namespace, pid, startTime, fifo, configFile } = record
  const id = scopeId(identity.scope)
  const fields = { version, kind: identity.kind, id, listen: listen.map(tcpAddressText) }
  return `${JSON.stringify({ ...fields, namespace, pid, startTime, fifo, configFile })}\n`
}

/** @throws SyntaxError when the text is no record of this version */
export function parseRecord(text: string): AttachmentRecord {
  const fields: unknown = JSON.parse(text)
  if (!isMapping(fields)) throw new SyntaxError('it is no record')
  if (fields['version'] !== version) throw new SyntaxError('it is of another version')
  const kind = namespaceKinds.find((one) => one === fields['kind'])
  const identity = kind && identityOf(kind, fields['id'])
  const listen = listenAddresses(fields['listen'])
  const { pid } = fields
  if (identity === undefined || listen === undefined || !Number.isSafeInteger(pid)) {
    throw new SyntaxError('it is incomplete')
  }
  return {
    identity,
    listen,
    namespace: textOf(fields, 'namespace', /^\d{1,20}:\d{1,20}$/) as NamespaceKey,
    pid: pid as number,
    startTime: textOf(fields, 'startTime', /^\d{1,20}$/),
    fifo: textOf(fields, 'fifo', /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}\.wait$/),
    configFile: textOf(fields, 'configFile', /^\/[^\p{Cc}]{0,4095}$/u),
  }
}

function listenAddresses(value: unknown): TcpAddress[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > 16) return undefined
  const read = value
    .flatMap((text) => parseTcpAddress(text) ?? [])
    .filter(({ tcpPort }) => tcpPort > 0)
  return read.length === value.length ? read : undefined
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string, pattern: RegExp): string {
  const text = fields[name]
  if (typeof text !== 'string' || !pattern.test(text)) {
    throw new SyntaxError(`its "${name}" cannot be used`)
  }
  return text
}
