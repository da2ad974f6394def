import t, { type Test } from 'tap'
import { LeaseIssuer, type LeaseIssuerOptions } from '../../../agent-side/leases/lease-issuer.ts'
import type { LookupKey } from '../../../agent-side/resolve/resolution.ts'
import { Resolver } from '../../../agent-side/resolve/resolver.ts'
import { Cancellation } from '../../../lib/runtime/cancellation.ts'
import { parsePortId, type PortId } from '../../../lib/identity/ids.ts'
import { parseIngressPort, type IngressPort } from '../../../lib/identity/ingress-port.ts'
import {
  leasesPerRevocation,
  type LeaseKey,
  type LeaseNews,
} from '../../../lib/wire/lease-messages.ts'
import { ip, mac, networkId, portId, routerId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { guestPort } from '../../support/lease-pair.ts'
import { ScriptedDirectory } from '../../support/scripted-directory.ts'

const concurrency = { min: 2, max: 50 }
const scope = { kind: 'network', networkId: networkId(1) } as const

function keyOf(number: number): LeaseKey {
  return { scope, sourceIp: ip(`10.0.0.${number}`), sourceMac: mac(number) }
}

function stage(t: Test, given: Partial<LeaseIssuerOptions> = {}) {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock, { answersAtOnce: true })
  for (let number = 1; number <= 5; number += 1) {
    directory.setPorts(guestPort(number, { fixedIps: [ip(`10.0.0.${number}`)] }))
  }
  directory.remember()
  const resolver = new Resolver({
    directory,
    clock,
    sourceMac: 'prefer',
    cache: { max: 100, ttl: 10_000, maxNegative: 10, maxNegativePerScope: 10, ttlNegative: 1_000 },
    timeout: 1_000,
    maxLookups: 100,
    maxLookupsPerScope: 100,
  })
  const headers = ['x', 'y']
  const issuer = new LeaseIssuer({
    verdicts: resolver,
    directory,
    upstreamsFor: () => [{ url: 'http://nova', insecure: false, headers }],
    clock,
    ttl: 5_000,
    oldest: 10_000,
    maxPerHolder: 3,
    concurrency,
    ...given,
  })
  t.teardown(() => issuer.close())
  const resolve = async (key: LookupKey): Promise<void> => {
    await resolver.resolve(key, new Cancellation())
  }
  const holder = () => {
    const news: LeaseNews[] = []
    return { news, ...issuer.open((one) => void news.push(one)) }
  }
  return { clock, directory, resolver, issuer, resolve, holder }
}

const kinds = (news: readonly LeaseNews[]): readonly string[] => news.map(({ kind }) => kind)

t.test('LeaseIssuer queries no directory: what is not remembered is refused', async (t) => {
  const { directory, resolve, holder } = stage(t)
  const worker = holder()
  worker.request(1, keyOf(1))
  t.strictSame(worker.news, [
    { kind: 'heartbeat', concurrency },
    { kind: 'refused', request: 1 },
  ])
  t.equal(directory.asked.length, 0)
  await resolve(keyOf(1))
  worker.request(2, keyOf(1))
  t.match(worker.news.at(-1), { kind: 'lease', request: 2, lease: 1, ttl: 5_000 })
})

t.test('LeaseIssuer leases for no longer than the identity is remembered', async (t) => {
  const { clock, resolve, holder } = stage(t)
  const worker = holder()
  await resolve(keyOf(1))
  clock.pass(7_500)
  worker.request(1, keyOf(1))
  t.match(worker.news.at(-1), { kind: 'lease', ttl: 2_500 })
  clock.pass(2_500)
  worker.request(2, keyOf(1))
  t.match(worker.news.at(-1), { kind: 'refused' })
})

t.test('LeaseIssuer leases nothing that the directory reported changed meanwhile', async (t) => {
  const { directory, resolve, holder } = stage(t)
  const worker = holder()
  await resolve(keyOf(1))
  directory.tell({ kind: 'network', networkId: networkId(1) })
  worker.request(1, keyOf(1))
  t.match(worker.news.at(-1), { kind: 'refused' })
})

t.test(
  'LeaseIssuer takes a lease back when a fresh answer replaces the remembered one',
  async (t) => {
    const { directory, resolver, resolve, holder } = stage(t)
    const worker = holder()
    await resolve(keyOf(1))
    worker.request(1, keyOf(1))
    directory.setPorts(
      guestPort(9, { portId: portId(1), macAddress: mac(1), fixedIps: [ip('10.0.0.1')] }),
    )
    const { signal } = new Cancellation()
    await resolver.resolve(keyOf(1), { signal, freshness: 'fresh' })
    t.strictSame(worker.news.at(-1), { kind: 'revoke', leases: [1] })
  },
)

t.test('LeaseIssuer takes a lease back when another MAC has its address', async (t) => {
  const { issuer, resolve, holder } = stage(t)
  const [one, other] = [holder(), holder()]
  await resolve(keyOf(1))
  await resolve(keyOf(2))
  one.request(1, keyOf(1))
  other.request(1, keyOf(1))
  other.request(2, keyOf(2))
  issuer.noteKey(keyOf(1))
  issuer.noteKey({ scope, sourceIp: ip('10.0.0.1') })
  t.equal(issuer.size, 3, 'the same MAC, or none, says nothing')
  issuer.noteKey({ ...keyOf(1), sourceMac: mac(77) })
  t.strictSame(one.news.at(-1), { kind: 'revoke', leases: [1] })
  t.strictSame(other.news.at(-1), { kind: 'revoke', leases: [2] })
  t.equal(issuer.size, 1)
})

t.test("LeaseIssuer lets a worker end a guest's leases, its own and the others'", async (t) => {
  const { issuer, resolve, holder } = stage(t)
  const [one, other] = [holder(), holder()]
  await resolve(keyOf(1))
  await resolve(keyOf(2))
  one.request(1, keyOf(1))
  other.request(1, keyOf(1))
  other.request(2, keyOf(2))
  one.stale(3)
  t.equal(issuer.size, 3, 'not those of a guest that it has no lease for')
  one.stale(1)
  t.strictSame(other.news.at(-1), { kind: 'revoke', leases: [2] })
  t.equal(issuer.size, 1)
})

t.test('LeaseIssuer gives a worker so many leases and no more, until some are over', async (t) => {
  const { clock, issuer, resolve, holder } = stage(t)
  const worker = holder()
  for (let number = 1; number <= 4; number += 1) {
    await resolve(keyOf(number))
    worker.request(number, keyOf(number))
  }
  t.strictSame(kinds(worker.news), ['heartbeat', 'lease', 'lease', 'lease', 'refused'])
  await clock.advance(5_000)
  t.equal(issuer.size, 0)
  worker.request(5, keyOf(4))
  t.equal(worker.news.at(-1)?.kind, 'lease')
})

t.test('LeaseIssuer sends a beat each second, while a worker listens', async (t) => {
  const { clock, issuer, resolve, holder } = stage(t)
  t.equal(clock.waiting, 0)
  const worker = holder()
  await resolve(keyOf(1))
  worker.request(1, keyOf(1))
  await clock.advance(3_000)
  t.equal(kinds(worker.news).filter((kind) => kind === 'heartbeat').length, 4)
  worker.close()
  t.equal(issuer.size, 0)
  t.equal(clock.waiting, 0)
  worker.request(2, keyOf(1))
  t.equal(worker.news.at(-1)?.kind, 'refused', 'nobody is there to hold it')
})

t.test('LeaseIssuer names many revoked leases in lines of bounded length', async (t) => {
  const { directory, resolve, holder } = stage(t, { maxPerHolder: 1_000 })
  const worker = holder()
  await resolve(keyOf(1))
  for (let ask = 1; ask <= leasesPerRevocation + 1; ask += 1) worker.request(ask, keyOf(1))
  directory.tell({ kind: 'network', networkId: networkId(1) })
  const revoked = worker.news.flatMap((one) => (one.kind === 'revoke' ? [one.leases.length] : []))
  t.strictSame(revoked, [leasesPerRevocation, 1])
})

t.test('LeaseIssuer revokes everything when it closes', async (t) => {
  const { issuer, resolve, holder } = stage(t)
  const worker = holder()
  await resolve(keyOf(1))
  worker.request(1, keyOf(1))
  issuer.close()
  t.strictSame(worker.news.at(-1), { kind: 'revoke_all' })
  t.equal(issuer.size, 0)
})

t.test('LeaseIssuer sends each worker its part of what compute may get', async (t) => {
  const { clock, issuer, holder } = stage(t)
  const first = holder()
  t.strictSame(first.news, [{ kind: 'heartbeat', concurrency }])
  const others = [holder(), holder()]
  const third = { kind: 'heartbeat', concurrency: { min: 1, max: 16 } }
  t.strictSame(others[1]?.news, [third])
  await clock.advance(1_000)
  t.strictSame(first.news.at(-1), third)
  for (const other of others) other.close()
  await clock.advance(1_000)
  t.match(first.news.at(-1), { concurrency: { max: 50 } })
  t.equal(issuer.holders, 1)
})

t.test('LeaseIssuer leases nothing of one ingress port to another', async (t) => {
  const { directory, resolve, holder } = stage(t)
  const [portOfRouter, ofOther] = [1, 2].map((number) => routerPortId(number))
  directory.setInterfaces(routerId(1), [
    { networkId: networkId(1), portId: portOfRouter! },
    { networkId: networkId(2), portId: ofOther! },
  ])
  directory.remember()
  const { sourceIp, sourceMac } = keyOf(1)
  const through = (ingressPort: IngressPort | undefined): LeaseKey => ({
    scope: { kind: 'router', routerId: routerId(1) },
    sourceIp,
    sourceMac,
    ...(ingressPort !== undefined && { ingressPort }),
  })
  const worker = holder()
  const own = parseIngressPort(portOfRouter?.slice(0, 11))
  await resolve(through(own))
  for (const foreign of [parseIngressPort(ofOther?.slice(0, 11)), 'other', undefined] as const) {
    worker.request(1, through(foreign))
    t.match(worker.news.at(-1), { kind: 'refused' }, foreign ?? 'not known')
  }
  worker.request(2, through(own))
  t.match(worker.news.at(-1), { kind: 'lease', request: 2 })
})

t.test(
  'LeaseIssuer leases within the fence, and takes back what falls outside of it',
  async (t) => {
    const served = new Set<string>()
    let narrow = (): void => undefined
    const { resolve, holder } = stage(t, {
      fence: {
        admits: (one) => served.has(one),
        onNarrowed(listener) {
          narrow = listener
          return () => undefined
        },
      },
    })
    const worker = holder()
    await resolve(keyOf(1))
    worker.request(1, keyOf(1))
    t.match(worker.news.at(-1), { kind: 'refused', request: 1 })
    served.add(`network/${networkId(1)}`)
    worker.request(2, keyOf(1))
    t.match(worker.news.at(-1), { kind: 'lease', lease: 1 })
    narrow()
    t.match(worker.news.at(-1), { kind: 'lease' }, 'it is served as before')
    served.clear()
    narrow()
    t.strictSame(worker.news.at(-1), { kind: 'revoke', leases: [1] })
  },
)

/** Ids of ports differ in their first characters, as Neutron's do. */
function routerPortId(number: number): PortId | undefined {
  return parsePortId(`${number}2345678-9abc-4000-8000-000000000001`)
}
