/**
 * Who may be answered? Requests come from a seat of a random cloud in every way that the seat can send them; the resolver decides, and
 * the oracle knows where each truly came from. It rests on nothing but that: the answer must be the sender's own instance or a
 * refusal, except in the cases that the README's threat model declares open.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MetadataError } from '../../lib/runtime/errors.ts'
import type { InstanceId, NetworkId } from '../../lib/identity/ids.ts'
import { parseIngressPort } from '../../lib/identity/ingress-port.ts'
import { eui64LinkLocal, type IpAddress } from '../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import { requireSourceMac, type Peer } from '../../agent-side/peers/lookup-key.ts'
import type { LookupKey } from '../../agent-side/resolve/resolution.ts'
import { Resolver } from '../../agent-side/resolve/resolver.ts'
import { ip, mac } from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { SeededRandom } from '../support/random.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { IdentityCloud, type CloudRouter, type Seat } from './identity-cloud.ts'

/** What a run came to. */
export interface OracleResult {
  readonly decisions: number
  readonly found: number
  /** Answers of a foreign instance that the README declares open. */
  readonly declaredOpen: number
  /** Foreign answers that nothing allows; the first of them in words. Must be 0. */
  readonly wrong: number
  /** Honest guests of our own proxy that were not answered. Must be 0. */
  readonly honestRefused: number
  readonly examples: readonly string[]
}

/** A request and the truth about it. */
interface Sent {
  readonly sender: Seat
  /** The router whose namespace is asked. */
  readonly router: CloudRouter
  /** The network of the router's interface that the packet came in through. */
  readonly ingress: NetworkId
  /** Another router brought it there from the sender's network. */
  readonly isForwarded: boolean
  readonly isGhost: boolean
  /** What stands in front of the agent. */
  readonly proxy: 'own' | 'older' | 'haproxy'
  readonly key: LookupKey
}

const decisionsPerCloud = 4_000
const decisionsPerTick = 60

const nobodyLeaves: AbortSignal = new AbortController().signal

/** Makes so many decisions. The same seed makes the same ones. */
export async function runIdentityOracle(seed: number, count: number): Promise<OracleResult> {
  const random = new SeededRandom(seed)
  const tally = new Tally()
  while (tally.decisions < count) {
    await runCloud(random, Math.min(decisionsPerCloud, count - tally.decisions), tally)
    await nextTurn()
  }
  return tally
}

async function runCloud(random: SeededRandom, count: number, tally: Tally): Promise<void> {
  const cloud = new IdentityCloud(random)
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock, { answersAtOnce: true })
  for (const { routerId, interfaces } of cloud.routers)
    directory.setInterfaces(routerId, interfaces)
  directory.setPorts(...cloud.ports)
  directory.remember()
  const resolver = new Resolver({
    directory,
    clock,
    sourceMac: cloud.policy.sourceMac,
    routed: cloud.policy.rules,
    cache: {
      max: 500,
      ttl: 10_000,
      maxNegative: 500,
      maxNegativePerScope: 100,
      ttlNegative: 1_000,
    },
    timeout: 1_000,
    maxLookups: 10,
    maxLookupsPerScope: 10,
  })
  for (let done = 0; done < count; done += 1) {
    if (done % decisionsPerTick === 0) await change(cloud, random, directory, clock)
    const sent = send(cloud, random)
    if (sent === undefined) continue
    tally.decisions += 1
    judge(cloud, sent, await answerTo(cloud, sent, resolver), tally)
  }
  resolver.close()
}

/** Ports come and go, and the directory tells of it as one that is pushed does. */
async function change(
  cloud: IdentityCloud,
  random: SeededRandom,
  directory: ScriptedDirectory,
  clock: FakeClock,
): Promise<void> {
  await clock.advance(random.below(2_000))
  const changed = [cloud.removePort(), cloud.addPort(), cloud.addPort()]
  const [gone, ...made] = changed
  if (gone !== undefined) directory.deletePort(gone.portId)
  directory.setPorts(...made.filter((port) => port !== undefined))
  directory.remember()
  for (const port of changed) {
    if (port !== undefined) directory.tell({ kind: 'network', networkId: port.networkId })
  }
}

/** A request that a seat of the cloud can bring about. */
function send(cloud: IdentityCloud, random: SeededRandom): Sent | undefined {
  const isGhost = cloud.ghosts.length > 0 && random.chance(10)
  const sender = random.pick(isGhost ? cloud.ghosts : cloud.seats)
  const home = sender.port.networkId
  const reached = cloud.routersOn(home)
  if (reached.length === 0) return undefined
  const first = random.pick(reached)
  const isForwarded = random.chance(25)
  const way = isForwarded ? forwardedWay(cloud, random, first) : { router: first, ingress: home }
  if (way === undefined) return undefined
  const { router, ingress } = way
  const proxy = random.pick(['own', 'own', 'own', 'older', 'haproxy'] as const)
  const own = addressAndMac(cloud, random, sender, isForwarded)
  const carried = isForwarded ? macOf(first, ingress) : own.sourceMac
  const isFlooded = proxy === 'haproxy' || random.chance(20)
  const used = router.interfaces.find(({ networkId }) => networkId === ingress)
  const ingressPort = proxy === 'own' ? parseIngressPort(used?.portId.slice(0, 11)) : undefined
  return {
    sender,
    router,
    ingress,
    isForwarded,
    isGhost,
    proxy,
    key: {
      scope: { kind: 'router', routerId: router.routerId },
      sourceIp: own.sourceIp,
      ...(!isFlooded && carried !== undefined && { sourceMac: carried }),
      ...(ingressPort !== undefined && { ingressPort }),
    },
  }
}

/** Through the first router onto another of its networks, and there into another router. */
function forwardedWay(
  cloud: IdentityCloud,
  random: SeededRandom,
  first: CloudRouter,
): { readonly router: CloudRouter; readonly ingress: NetworkId } | undefined {
  const { networkId: ingress } = random.pick(first.interfaces)
  const others = cloud.routersOn(ingress).filter((router) => router !== first)
  return others.length === 0 ? undefined : { router: random.pick(others), ingress }
}

function macOf(router: CloudRouter, network: NetworkId): MacAddress | undefined {
  return router.ports.find(({ networkId }) => networkId === network)?.macAddress
}

/** Where port security is on, own MAC and own address; otherwise whatever the sender likes, most of all somebody else's. */
function addressAndMac(
  cloud: IdentityCloud,
  random: SeededRandom,
  sender: Seat,
  isForwarded: boolean,
): { readonly sourceIp: IpAddress; readonly sourceMac: MacAddress } {
  const { port } = sender
  const victim = random.pick(cloud.seats).port
  const sourceMac = sender.isSecured
    ? port.macAddress
    : random.pick([
        port.macAddress,
        victim.macAddress,
        victim.macAddress,
        mac(0xff0000 + random.below(4)),
      ])
  const linkLocals = sender.isSecured
    ? [eui64LinkLocal(port.macAddress), ip('fe80::1234')]
    : [eui64LinkLocal(victim.macAddress), eui64LinkLocal(sourceMac), ip('fe80::1234')]
  const fixed = sender.isSecured
    ? port.fixedIps
    : [...port.fixedIps, ...victim.fixedIps, ...victim.fixedIps]
  // A link-local address is never forwarded.
  const sourceIp = random.pick(isForwarded || random.chance(70) ? fixed : linkLocals)
  return { sourceIp, sourceMac }
}

async function answerTo(
  cloud: IdentityCloud,
  { proxy, key }: Sent,
  resolver: Resolver,
): Promise<InstanceId | undefined> {
  const peer: Peer =
    proxy === 'haproxy' ? { kind: 'neutron', flavour: 'ml2' } : { kind: 'overlapd' }
  try {
    requireSourceMac(cloud.policy.sourceMac, peer, key)
    const resolution = await resolver.resolve(key, { signal: nobodyLeaves })
    return resolution.kind === 'found' ? resolution.identity.instanceId : undefined
  } catch (thrown) {
    if (thrown instanceof MetadataError) return undefined
    throw thrown
  }
}

function judge(
  cloud: IdentityCloud,
  sent: Sent,
  answer: InstanceId | undefined,
  tally: Tally,
): void {
  const { sender, router, isForwarded, isGhost, proxy, key } = sent
  const isOwn = answer === sender.port.instanceId && !isGhost
  if (answer !== undefined) tally.found += 1
  const isHonest =
    sender.isSecured && !isForwarded && proxy === 'own' && key.sourceMac !== undefined
  if (isHonest && !isOwn && cloud.policy.sourceMac !== 'off') {
    tally.honestRefused += 1
    tally.note('honest guest not answered', cloud, sent, answer)
  }
  // A router's own port has a device id as well; compute knows no instance of it.
  const isInstance =
    answer !== undefined &&
    !cloud.routers.some(({ routerId }) => String(routerId) === String(answer))
  if (!isInstance || isOwn) return
  if (isDeclaredOpen(cloud, sent, answer)) {
    tally.declaredOpen += 1
    return
  }
  tally.wrong += 1
  tally.note(`wrong answer through router ${router.routerId}`, cloud, sent, answer)
}

/** What the threat model of the README says of foreign answers, sentence by sentence. */
function isDeclaredOpen(cloud: IdentityCloud, sent: Sent, answer: InstanceId): boolean {
  const { sender, router, ingress, isForwarded, proxy, key } = sent
  const { sourceMac, rules } = cloud.policy
  const canForge = !sender.isSecured
  const ofRouter = router.interfaces.map(({ networkId }) => networkId)
  // Nothing tells a guest with port security off from another one of its own network.
  if (canForge && !isForwarded && cloud.hasInstanceOn(answer, [ingress])) return true
  // Without an ingress any network of the router counts.
  if (proxy !== 'own' && (canForge || isForwarded) && cloud.hasInstanceOn(answer, ofRouter)) {
    return true
  }
  // Without a MAC, other routers on the network can bring any address.
  const isWithoutMac = sourceMac === 'off' || key.sourceMac === undefined
  const mayBeWithout = sourceMac !== 'verify' || proxy === 'haproxy'
  if (isForwarded && isWithoutMac && mayBeWithout && cloud.hasInstanceOn(answer, [ingress])) {
    return true
  }
  // Networks declared behind another belong to whoever can send from there with any address.
  const { routed, behind } = rules.of(ingress)
  const further = behind.filter((network) => !ofRouter.includes(network))
  const isBehind = proxy === 'own' && routed === 'by_address' && (canForge || isForwarded)
  return isBehind && cloud.hasInstanceOn(answer, further)
}

class Tally implements OracleResult {
  decisions = 0
  found = 0
  declaredOpen = 0
  wrong = 0
  honestRefused = 0
  readonly examples: string[] = []

  note(what: string, cloud: IdentityCloud, sent: Sent, answer: InstanceId | undefined): void {
    if (this.examples.length >= 5) return
    const { sender, ingress, isForwarded, isGhost, proxy, key } = sent
    const truth = { sender, ingress, isForwarded, isGhost, proxy, key, answer }
    const { sourceMac, routed, entries } = cloud.policy
    this.examples.push(`${what}: ${JSON.stringify({ ...truth, sourceMac, routed, entries })}`)
  }
}
