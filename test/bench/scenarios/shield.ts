import { text } from 'node:stream/consumers'
import type { BenchNetwork } from '../bench-network.ts'
import type { LoadTarget } from '../guest-request.ts'
import { measureLoad, warmUp } from '../measured-load.ts'
import { OurSide } from '../our-side.ts'
import { benchRow, type BenchRow } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { warmNetwork } from './warm.ts'

/** Flow mappings of YAML. */
const policies = {
  off: '{ token: off, forwarded: off, host: off }',
  observe: '{ token: observe, forwarded: observe, host: observe }',
  enforce: '{ token: off, forwarded: enforce, host: enforce }',
  tokens: '{ token: enforce, forwarded: enforce, host: enforce }',
} as const
type Name = keyof typeof policies
const names = Object.keys(policies) as readonly Name[]

/** What shields cost where nobody is refused. One agent takes up one policy after the other, since two processes differ by more. */
export const shield: Scenario = {
  name: 'shield',
  what: 'CPU a request with the shields off, observed, enforced, and enforced with tokens',
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    const network = await shared.get(warmNetwork)
    const ours = await OurSide.start({
      topology: network.topology,
      teardown,
      profiler,
      shieldPolicy: `default: ${policies.observe}`,
    })
    try {
      progress('shield: warming up')
      await warmUp(network.targets(), quick ? 4_000 : 20_000)
      const withTokens = await targetsWithTokens(network)
      const rows = new Map<Name, BenchRow[]>(names.map((name) => [name, []]))
      const rounds = quick ? 2 : 9
      for (let round = 1; round <= rounds; round += 1) {
        progress(`shield: round ${round} of ${rounds}`)
        // In turn from either end, so that what drifts weighs on none more than on the others.
        for (const name of round % 2 === 0 ? names.toReversed() : names) {
          await ours.setShieldPolicy(`# ${round}\ndefault: ${policies[name]}`)
          const targets = name === 'tokens' ? withTokens : network.targets()
          const load = { connections: 16, keepAlive: false, requests: quick ? 2_000 : 8_000 }
          const subject = { name: `shield-${name}`, side: 'ours', upstream: 'keeps' } as const
          rows.get(name)?.push(await measureLoad(subject, ours, { ...load, targets }))
        }
      }
      for (const [, own] of rows) add(summedUp(own, rows.get('off') ?? []))
    } finally {
      await ours.stop()
    }
  },
}

/** The row of the median ratio, with the errors of all rounds. */
function summedUp(own: readonly BenchRow[], off: readonly BenchRow[]): BenchRow {
  const rounds = own
    .map((row, round) => ({
      row,
      ratio: (row.cpuMsPerRequest ?? Number.NaN) / (off[round]?.cpuMsPerRequest ?? Number.NaN),
    }))
    .toSorted((one, other) => one.ratio - other.ratio)
  const middle = rounds[Math.floor(rounds.length / 2)]
  if (middle === undefined) throw new TypeError('Nothing was measured')
  const figures = {
    cpuAgainstOff: middle.ratio,
    lowest: rounds[0]?.ratio ?? Number.NaN,
    highest: rounds.at(-1)?.ratio ?? Number.NaN,
  }
  const sum = (field: 'errors' | 'wrong'): number =>
    own.reduce((total, row) => total + (row[field] ?? 0), 0)
  return benchRow({ ...middle.row, errors: sum('errors'), wrong: sum('wrong'), figures })
}

async function targetsWithTokens(network: BenchNetwork): Promise<readonly LoadTarget[]> {
  const targets: LoadTarget[] = []
  for (const target of network.targets()) {
    const token = await tokenOf(target)
    targets.push({ ...target, fields: `X-aws-ec2-metadata-token: ${token}\r\n` })
  }
  return targets
}

/** @throws Error when none is given */
async function tokenOf(target: LoadTarget): Promise<string> {
  const socket = target.connect()
  socket.write(
    'PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  )
  const answer = await text(socket)
  const token = /^HTTP\/1\.1 200 .*\r\n\r\n(?:\w+\r\n)?([\w-]{56})/s.exec(answer)?.[1]
  if (token === undefined) throw new Error(`No token: ${answer.slice(0, 200)}`)
  return token
}
