/** How may a compute service that was broken into answer? */
import type { Socket } from 'node:net'
import type { SeededRandom } from '../../support/random.ts'

/** What no request asked for. Whoever is given it was given somebody else's answer. */
export const stolen = 'id:stolen'

/** One way of answering a request whose right answer is `body`. Whatever it throws or leaves open is its own affair. */
export interface HostileAnswer {
  readonly name: string
  send(socket: Socket, body: string, random: SeededRandom): void
}

const whole = (body: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`

/** Sends pieces without an end, though not so fast that nobody else has time to answer. */
function endlessly(socket: Socket, piece: string): void {
  const timer = setInterval(() => {
    if (!socket.writableNeedDrain) socket.write(piece)
  }, 5)
  socket.once('close', () => clearInterval(timer))
}

/** Sends byte after byte, slower than anybody has time for. */
function dripping(socket: Socket, text: string): void {
  let at = 0
  const timer = setInterval(() => {
    if (at < text.length) socket.write(text.charAt((at += 1) - 1))
  }, 100)
  socket.once('close', () => clearInterval(timer))
}

function randomBytes(random: SeededRandom): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(3_000) }, () => random.below(256)))
}

/** A right answer of which some bytes are others. */
function mutated(text: string, random: SeededRandom): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  // The body stays: whoever may change that may say anything.
  const head = text.indexOf('\r\n\r\n') + 4
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    bytes[random.below(head)] = random.below(256)
  }
  return bytes
}

const texts: readonly (readonly [name: string, text: (body: string) => string])[] = [
  ['nothing', () => ''],
  ['half a head', () => 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['half a body', (body) => whole(body).slice(0, -3)],
  ['a body that is too long', (body) => `${whole(body)}${stolen}`],
  ['two answers', (body) => `${whole(body)}${whole(stolen)}`],
  ['two lengths', (body) => whole(body).replace('Type: text/plain', 'Length: 4')],
  ['no number as length', (body) => whole(body).replace(/Length: \d+/, 'Length: -1')],
  ['a huge length', (body) => whole(body).replace(/Length: \d+/, 'Length: 99999999999999999999')],
  [
    'lengths and chunks',
    (body) => whole(body).replace('\r\n', '\r\nTransfer-Encoding: chunked\r\n'),
  ],
  ['bad chunks', () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n'],
  ['half a chunk', () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc'],
  ['interim answers', (body) => `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000)}${whole(body)}`],
  [
    'early hints',
    (body) => `${'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'.repeat(500)}${whole(body)}`,
  ],
  ['another protocol', () => 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc'],
  ['HTTP/2', () => 'HTTP/2 200\r\n\r\n'],
  ['a status that is none', (body) => whole(body).replace('200', '000')],
  ['status 999', (body) => whole(body).replace('200', '999')],
  ['many fields', (body) => whole(body).replace('\r\n', `\r\n${'A: b\r\n'.repeat(5_000)}`)],
  ['a long field', (body) => whole(body).replace('\r\n', `\r\nA: ${'b'.repeat(200_000)}\r\n`)],
  ['a reason code of ours', (body) => whole(body).replace('\r\n', '\r\nX-Overlapd-Reason: x\r\n')],
  ['a line folded', (body) => whole(body).replace('text/plain', 'text/\r\n plain')],
  ['204 with a body', (body) => whole(body).replace('200 OK', '204 No')],
  ['304 with a body', (body) => whole(body).replace('200 OK', '304 No')],
]

export const hostileAnswers: readonly HostileAnswer[] = [
  ...texts.flatMap(([name, text]): HostileAnswer[] => [
    { name, send: (socket, body) => void socket.write(text(body)) },
    { name: `${name}, then the end`, send: (socket, body) => void socket.end(text(body)) },
  ]),
  { name: 'garbage', send: (socket, _body, random) => void socket.write(randomBytes(random)) },
  {
    name: 'garbage and an end',
    send: (socket, _body, random) => void socket.end(randomBytes(random)),
  },
  {
    name: 'a mutated head',
    send: (socket, body, random) => void socket.end(mutated(whole(body), random)),
  },
  { name: 'a reset', send: (socket) => void socket.resetAndDestroy() },
  {
    name: 'a reset within the body',
    send: (socket, body) =>
      void socket.write(whole(body).slice(0, -3), () => socket.resetAndDestroy()),
  },
  {
    name: 'a head without end',
    send: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      endlessly(socket, `X-A: ${'b'.repeat(8_000)}\r\n`)
    },
  },
  {
    name: 'chunks without end',
    send: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      endlessly(socket, `2000\r\n${'x'.repeat(8_192)}\r\n`)
    },
  },
  {
    name: 'interim answers without end',
    send: (socket) => endlessly(socket, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(300)),
  },
  { name: 'a dripping head', send: (socket, body) => dripping(socket, whole(body)) },
  {
    name: 'a dripping body',
    send: (socket, body) => {
      socket.write(whole(`${body}${'.'.repeat(500)}`).slice(0, -500))
      dripping(socket, '.'.repeat(500))
    },
  },
]
