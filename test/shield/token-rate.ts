/** How many tokens does one core make and verify in a second, and what does reading an arrival cost a connection? Counts CPU time. */
import { TokenKeys, type TokenHolder } from '../../agent-side/shield/tokens.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { arrivalOfSyn } from '../../proxy/worker/guest/source-mac.ts'
import { isInitialHopLimit } from '../../lib/wire/hop-limit.ts'
import { instanceId, mac, networkId, portId } from '../conformance/topology.ts'

const now = Date.UTC(2026, 0, 1)
const keys = new TokenKeys([new Secret('first key of the bench, long enough')])
const holders: readonly TokenHolder[] = Array.from({ length: 100 }, (_, index) => ({
  identity: { portId: portId(index + 1), instanceId: instanceId(index + 1) },
  key: { scope: { kind: 'network', networkId: networkId(index + 1) }, sourceMac: mac(index + 1) },
}))

/** Calls in a second of CPU time, after as many to warm up. */
function rate(calls: number, work: (index: number) => void): number {
  for (let index = 0; index < calls; index += 1) work(index)
  const before = process.cpuUsage()
  for (let index = 0; index < calls; index += 1) work(index)
  const { user, system } = process.cpuUsage(before)
  return Math.round(calls / ((user + system) / 1_000_000))
}

const tokens = holders.map((holder) => keys.make(holder, now, 21_600))
const made = rate(100_000, (index) => void keys.make(holders[index % 100]!, now, 21_600))
let valid = 0
const verified = rate(200_000, (index) => {
  if (keys.verify(tokens[index % 100]!, holders[index % 100]!, now) === 'valid') valid += 1
})
const frame = Buffer.alloc(74)
frame.set([0x08, 0x00, 0x45], 12)
frame[22] = 64
frame[14 + 20 + 12] = 0xa0
let own = 0
const arrivals = rate(2_000_000, () => {
  const arrival = arrivalOfSyn(frame)
  if (arrival !== undefined && isInitialHopLimit(arrival.hopLimit)) own += 1
})
process.stdout.write(
  `tokens made: ${made} a second and core\n` +
    `tokens verified: ${verified} a second and core (${valid} valid)\n` +
    `arrival read: ${(1_000_000 / arrivals).toFixed(3)} µs a connection (${own} read)\n`,
)
