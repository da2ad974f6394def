/** What may a peer of the agent claim, and what must become of it? */
import { networkId, routerId } from '../../conformance/topology.ts'
import type { SeededRandom } from '../../support/random.ts'
import { instanceOf } from '../attacked-chain.ts'
import type { Seat } from '../guest-seats.ts'

/** A request with the only instance that may be named in answer to it; none where there is none. */
export interface PeerRequest {
  readonly text: string
  readonly instance: string | undefined
}

/** What is right: the claim of a seat as our proxy would make it. */
export function honestRequest(seat: Seat): PeerRequest {
  return requestOf(seat, [
    ['X-Neutron-Router-ID', routerId(seat.router)],
    ['X-Forwarded-For', seat.addresses[0] ?? ''],
    ['X-Overlapd-Source-MAC', seat.macAddress],
  ])
}

type Field = readonly [name: string, value: string]

function requestOf(seat: Seat | undefined, fields: readonly Field[]): PeerRequest {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`)
  return {
    text: `GET /peer HTTP/1.1\r\nHost: a\r\n${lines.join('')}\r\n`,
    instance: seat && instanceOf(seat),
  }
}

const odd = [
  '',
  ' ',
  '*',
  '0',
  '../x',
  'x'.repeat(3_000),
  '::1',
  '10.0.0.10, 10.0.0.27',
  '\u00ff',
  'b0000000',
]

/**
 * A request of which some claims are others.
 * @param mayName whether the peer may speak for a seat's router
 */
export function forgedRequest(
  random: SeededRandom,
  seats: readonly Seat[],
  mayName: (seat: Seat) => boolean,
): PeerRequest {
  const seat = random.pick(seats)
  const other = random.pick(seats)
  const right: readonly Field[] = [
    ['X-Neutron-Router-ID', routerId(seat.router)],
    ['X-Forwarded-For', seat.addresses[0] ?? ''],
    ['X-Overlapd-Source-MAC', seat.macAddress],
  ]
  // These say nothing about who asks.
  const idle: readonly Field[] = [
    ['X-Instance-ID', instanceOf(other)],
    ['X-Tenant-ID', 'x'],
    ['X-Instance-ID-Signature', 'f'.repeat(64)],
    ['X-Real-IP', other.addresses[0] ?? ''],
    ['Forwarded', `for=${other.addresses[0]}`],
    ['X-Overlapd-Reason', 'x'],
  ]
  const extra = idle.filter(() => random.chance(20))
  const allowed = mayName(seat) ? seat : undefined
  switch (random.below(5)) {
    case 0:
      // Nothing forged that counts.
      return requestOf(allowed, [...extra, ...right])
    case 1:
      // A claim twice: nobody knows which one counts.
      return requestOf(undefined, [...right, ...extra, random.pick(claimsOf(other, seat))])
    case 2: {
      const [, ...rest] = right
      return requestOf(undefined, [['X-Neutron-Router-ID', random.pick(odd)], ...rest, ...extra])
    }
    case 3: {
      const [scope, , mac] = right
      const fields = [scope, ['X-Forwarded-For', random.pick(odd)], mac] as Field[]
      return requestOf(undefined, [...fields, ...extra])
    }
    default: {
      // Address of one, MAC of the other, by the router of a third: right where that is somebody after all.
      const { router } = random.pick(seats)
      const [address = ''] = seat.addresses
      const { macAddress } = other
      const meant = seats.find(
        (one) =>
          one.router === router && one.addresses[0] === address && one.macAddress === macAddress,
      )
      return requestOf(meant && mayName(meant) ? meant : undefined, [
        ['X-Neutron-Router-ID', routerId(router)],
        ['X-Forwarded-For', address],
        ['X-Overlapd-Source-MAC', macAddress],
        ...extra,
      ])
    }
  }
}

function claimsOf(other: Seat, seat: Seat): readonly Field[] {
  return [
    ['X-Neutron-Router-ID', routerId(other.router)],
    ['X-Neutron-Network-ID', networkId(seat.router)],
    ['X-OVN-Network-ID', networkId(other.router)],
    ['X-Forwarded-For', other.addresses[0] ?? ''],
    ['X-Overlapd-Source-MAC', other.macAddress],
  ]
}

/** The bytes of a request, some of them others. Whatever it says now, only what the peer may name can be the answer. */
export function mutatedBytes(random: SeededRandom, text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  for (let count = 1 + random.below(6); count > 0; count -= 1) {
    bytes[random.below(bytes.length)] = random.below(256)
  }
  return random.chance(20) ? bytes.subarray(0, random.below(bytes.length)) : bytes
}
