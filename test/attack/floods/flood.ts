/** What floods are there? */
import type { Bytes, Count } from '../../../lib/runtime/clock.ts'

/** Where a flood comes from: a guest's namespace, or a host with a proxy's certificate. */
export type FloodPlace = 'guest' | 'host'

/** Connections that are opened all at once, held, closed, and opened again. */
export interface Flood {
  /** Also says it in the report. */
  readonly name: string
  readonly place: FloodPlace
  readonly connections: Count
  /** Of the guest, over which the connections are spread. */
  readonly addresses: Count
  /** What each connection sends, one after the other from a place of its own; nothing where there is none. */
  readonly requests: readonly string[]
  /** A connection sends requests up to this size without reading anything. Absent: it sends one and must be answered with 200. */
  readonly unreadBytes?: Bytes
  /** Of requests that must be answered: the sending half ends after the request. */
  readonly endsHalf?: boolean
}

const KiB: Bytes = 1024
const MiB: Bytes = 1024 * KiB

const small = 'GET / HTTP/1.1\r\nHost:a\r\n\r\n'
const large = `GET / HTTP/1.1\r\nHost:a\r\n${Array.from(
  { length: 15 },
  (_, index) => `X-${index}: ${'x'.repeat(1_000)}\r\n`,
).join('')}\r\n`

/** With every answer compute gives that is long enough to be in somebody's way. */
const long = [512 * KiB, MiB, 4 * MiB].map(
  (bytes) => `GET /bytes/${bytes} HTTP/1.1\r\nHost:a\r\n\r\n`,
)

/** As programs write them that end their sending half: `nc -N`, `socat`, `busybox nc`. */
const halfClosed = [
  'GET /a HTTP/1.0\r\n\r\n',
  'GET /b HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /d HTTP/1.0\n\n',
  'HEAD /e HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
  'POST /g HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  `${small}${small}`,
]

/** @param peerRequest one that a proxy may send to an agent */
export function allFloods(peerRequest: string): readonly Flood[] {
  const ofOne = { place: 'guest', addresses: 1, connections: 64 } as const
  return [
    {
      ...ofOne,
      name: '1.2 one pipelines',
      connections: 1,
      requests: [small],
      unreadBytes: 4 * MiB,
    },
    { ...ofOne, name: '1.2 many pipeline', requests: [small], unreadBytes: MiB },
    {
      ...ofOne,
      name: '1.3 large heads',
      addresses: 3,
      connections: 3 * 64,
      requests: [large],
      unreadBytes: 32 * large.length,
    },
    {
      ...ofOne,
      name: '1.4 idle',
      addresses: 17,
      connections: 17 * 64,
      requests: [],
      unreadBytes: 0,
    },
    {
      ...ofOne,
      name: '1.6 long answers',
      addresses: 4,
      connections: 128,
      requests: long,
      unreadBytes: 200,
    },
    {
      name: '1.7 one certificate',
      place: 'host',
      addresses: 1,
      connections: 64,
      requests: [peerRequest],
      unreadBytes: MiB,
    },
    { ...ofOne, name: '7.6 many at once', connections: 400, requests: [small] },
    { ...ofOne, name: '3.1 half-closed', requests: halfClosed, endsHalf: true },
  ]
}
