import t from 'tap'
import type { Port } from '../../agent-side/ports/directory/port-directory.ts'
import { guestPort, ioTurns, startLeasePair } from '../support/lease-pair.ts'
import { SeededRandom } from '../support/random.ts'
import { ip, mac, networkId, routerId } from '../conformance/topology.ts'

const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 20_261_122)
const rounds = 700
const networks = [1, 2, 3]
const addresses = [1, 2, 3, 4]

t.test(
  `no instance gets another's metadata over ${rounds} rounds of reused addresses, with leases in two workers`,
  async (t) => {
    const random = new SeededRandom(seed)
    const scopes = networks.flatMap((network) => [
      { kind: 'network', networkId: networkId(network) } as const,
      { kind: 'router', routerId: routerId(network) } as const,
    ])
    const pair = await startLeasePair(t, { scopes, leases: 8 })
    const { clock, directory, pass } = pair
    const workers = [pair.worker, await pair.another()]
    const owners = new Map<string, Port>()
    let number = 0

    const occupy = (network: number, address: number, keeps: Partial<Port> = {}): void => {
      const place = `${network} ${address}`
      const before = owners.get(place)
      if (before !== undefined) directory.deletePort(before.portId)
      number += 1
      const fixedIps = [ip(`127.0.${network}.${address}`)]
      const port = guestPort(number, { networkId: networkId(network), fixedIps, ...keeps })
      owners.set(place, port)
      directory.setPorts(port)
    }
    for (const network of networks) {
      directory.setRouter(routerId(network), [networkId(network)])
      for (const address of addresses) occupy(network, address)
    }
    directory.remember()

    /** An address changes hands in one of the ways it can. */
    const reuse = async (): Promise<void> => {
      const network = random.pick(networks)
      const address = random.pick(addresses)
      const before = owners.get(`${network} ${address}`)
      const change = { kind: 'network', networkId: networkId(network) } as const
      if (random.chance(50)) {
        // A new port has a new MAC: then nobody needs to tell.
        occupy(network, address)
        if (random.chance(30)) directory.remember()
        if (random.chance(30)) directory.tell(change)
      } else {
        // The same port for another instance, or a MAC of the operator's choice: only the source knows.
        const macAddress = random.chance(80) ? before?.macAddress : mac(9_000 + random.below(3))
        occupy(network, address, macAddress && { macAddress })
        directory.remember()
        directory.tell(random.chance(90) ? change : { kind: 'all', why: 'a test' })
        await ioTurns()
      }
    }

    let asked = 0
    let right = 0
    let refused = 0
    const wrong: string[] = []
    for (let round = 0; round < rounds; round += 1) {
      if (random.chance(40)) await reuse()
      const network = random.below(networks.length)
      const port = owners.get(`${networks[network]} ${random.pick(addresses)}`)
      if (port === undefined) throw new Error('Every address has an owner')
      const scope = network * 2 + random.below(2)
      const worker = random.pick(workers)
      for (let again = random.below(4); again >= 0; again -= 1) {
        const answer = await worker.ask(port, '/latest', scope)
        asked += 1
        if (answer.status !== 200) refused += 1
        else if (answer.body.toString() === port.instanceId) right += 1
        else wrong.push(`round ${round}: ${answer.body.toString()} for ${port.instanceId}`)
        if (random.chance(50)) await ioTurns()
      }
      if (random.chance(20)) await pass(random.below(1_500))
      else if (random.chance(5)) clock.pass(random.below(6_000))
    }
    let direct = 0
    for (const worker of workers) direct += await worker.direct()
    t.strictSame(wrong, [], `seed ${seed}`)
    t.ok(right > asked * 0.9, `${right} right, ${refused} refused`)
    t.ok(direct > asked / 4, `${direct} of them went straight`)
  },
)
