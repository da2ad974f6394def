import { randomBytes, randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { runningCloud, type BareGuest } from './cloud.ts'
import type { Flavour } from './guest-networks.ts'
import { NeutronApi } from './neutron-api.ts'
import { instanceIn, portsSections, startAgent, type OurAgent } from './overlapd.ts'
import { makePassingGuest, portOf } from './passing-guest.ts'
import { addResult } from './results.ts'
import { haproxyHeaders, proxyHeaders } from './scope-headers.ts'
import { TappedRelay } from './tapped-relay.ts'
import { startTellingCompute } from './telling-compute.ts'

const { place, crowd } = runningCloud()
const compute = await startTellingCompute(t, place)
const rounds = 4
/** What `max_age` of neutron-rest is set to, so that the test need not wait long. */
const restBound: Milliseconds = 2_000

const kinds = [
  {
    directory: 'neutron-rest',
    flavour: 'ml2',
    tcpPort: place.tcpPorts.neutron,
    ports: (tcpPort: number) =>
      portsSections.neutronRest(place, {
        endpoint: `http://127.0.0.1:${tcpPort}`,
        max_age: `${restBound}ms`,
      }),
    isPushed: false,
  },
  {
    directory: 'neutron-rpc',
    flavour: 'ml2',
    tcpPort: place.tcpPorts.rabbitmq,
    ports: (tcpPort: number) => portsSections.neutronRpc(place, { tcpPort }),
    isPushed: true,
  },
  {
    directory: 'ovn',
    flavour: 'ovn',
    tcpPort: place.tcpPorts.southbound,
    ports: (tcpPort: number) =>
      portsSections.ovn(place, {
        ovn_sb_connection: [`tcp:127.0.0.1:${tcpPort}`],
        report_agent: false,
      }),
    isPushed: true,
  },
] as const

interface Successor {
  readonly instanceId: string
  readonly mac: string
}

/** Deletes the guest's port and gives its address to another instance with another MAC. */
async function replace(api: NeutronApi, guest: BareGuest, successor: Successor): Promise<void> {
  const [old] = await api.findPorts(`id=${guest.portId}`)
  await api.deletePort(guest.portId)
  await api.ports([
    {
      ...portOf({ ...guest, ...successor }),
      mac_address: successor.mac,
      fixed_ips: old?.fixed_ips,
    },
  ])
}

/** Asks until the successor is answered. @returns how long that took, and when somebody else was answered last */
async function untilRight(
  ask: () => Promise<string | undefined>,
  wanted: string,
): Promise<{ readonly took: Milliseconds; readonly lastOther: Milliseconds | undefined }> {
  const began = Date.now()
  let lastOther: Milliseconds | undefined
  for (;;) {
    const asked = Date.now() - began
    const instance = await ask()
    if (instance === wanted) return { took: Date.now() - began, lastOther }
    if (instance !== undefined) lastOther = asked
    if (asked > 20_000) throw new Error('the new instance is not found')
  }
}

for (const { directory, flavour, tcpPort, ports, isPushed } of kinds) {
  t.test(`${directory}: an address that is given to another instance`, async (t) => {
    const relay = await TappedRelay.open(t, tcpPort)
    const agent = startAgent(t, place, {
      ports: ports(relay.tcpPort),
      upstreams: [compute],
      // What the agent remembers counts for as long as what the directory remembers.
      sections: { cache: { ttl: `${restBound}ms` } },
    })
    await agent.untilReady()
    const api = new NeutronApi(place, flavour === 'ovn' ? 'neutronOvn' : 'neutron')
    const times: Milliseconds[] = []
    const timesByMac: Milliseconds[] = []
    for (let round = 0; round < rounds; round += 1) {
      const guest = await makePassingGuest(t, api, crowd[flavour][0]!)
      const isMacFirst = round % 2 === 0
      const around = { agent, api, guest, flavour, relay, isPushed, isMacFirst } as const
      const measured = await oneRound(t, around)
      times.push(measured.byIp)
      timesByMac.push(measured.byMac)
    }
    addResult(place, 'An address is given to another instance', {
      directory,
      rounds,
      'asked by IP, right after': isPushed
        ? 'the change has arrived'
        : `${Math.max(...times)} ms (bound ${restBound} ms)`,
      'with the new MAC, right after': `${Math.max(...timesByMac)} ms`,
      'wrong instances': 0,
    })
  })
}

async function oneRound(
  t: Test,
  around: {
    readonly agent: OurAgent
    readonly api: NeutronApi
    readonly guest: BareGuest
    readonly flavour: Flavour
    readonly relay: TappedRelay
    readonly isPushed: boolean
    readonly isMacFirst: boolean
  },
): Promise<{ readonly byIp: Milliseconds; readonly byMac: Milliseconds }> {
  const { agent, api, guest, flavour, relay, isPushed } = around
  const askByIp = async () => instanceIn(await agent.ask(flavour, haproxyHeaders(guest, flavour)))
  const askByMac = async (mac: string) =>
    instanceIn(await agent.ask('overlapd', proxyHeaders(guest, flavour, mac)))
  t.equal(await askByIp(), guest.instanceId, 'before, the first instance is found')
  t.equal(await askByMac(guest.mac), guest.instanceId, 'and with its MAC')

  const mac = `fa:16:3e:${randomBytes(3)
    .toString('hex')
    .replaceAll(/..(?=.)/g, '$&:')}`
  const successor = { instanceId: randomUUID(), mac }
  // The bytes with which the server tells of the new port, where it tells.
  const told = isPushed ? relay.passed(successor.instanceId) : undefined
  const seen = new Set<string | undefined>()
  const replaced = new AbortController()
  const meanwhile = (async () => {
    while (!replaced.signal.aborted) seen.add(await askByIp())
  })()
  const firstAfterwards = told?.then(askByIp)
  await replace(api, guest, successor)
  replaced.abort()
  const sinceMac = () => untilRight(() => askByMac(mac), successor.instanceId)
  const sinceIp = () => untilRight(askByIp, successor.instanceId)
  // A question with an unknown MAC makes the agent look again, and so would help the one without.
  const macFirst = around.isMacFirst ? await sinceMac() : undefined
  if (firstAfterwards !== undefined) {
    t.equal(await firstAfterwards, successor.instanceId, 'the first answer after the news is right')
  }
  const byIp = await sinceIp()
  const byMac = macFirst ?? (await sinceMac())
  t.equal(byMac.lastOther, undefined, 'with the new MAC nobody else is answered from then on')
  if (isPushed) t.equal(byIp.lastOther, undefined, 'and without it neither')
  else t.ok((byIp.lastOther ?? 0) <= restBound, `without it, within the bound: ${byIp.took} ms`)
  await meanwhile
  for (const known of [guest.instanceId, successor.instanceId, undefined]) seen.delete(known)
  t.strictSame([...seen], [], 'nobody was answered who had nothing to do with the address')
  return { byIp: byIp.took, byMac: byMac.took }
}
