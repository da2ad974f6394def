import t, { type Test } from 'tap'
import { Fence, type FenceMode, type WaitOutcome } from '../../../agent-side/served-scopes/fence.ts'
import type { Peer } from '../../../agent-side/peers/lookup-key.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import { scopeText, type Scope, type ScopeText } from '../../../lib/identity/scope.ts'
import { mostServedScopes, scopesPerLine } from '../../../lib/wire/served-scopes.ts'
import { networkId, routerId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const workers = 64_111
const worker: Peer = { kind: 'overlapd' }
const scopeOf = (number: number): Scope => ({ kind: 'router', routerId: routerId(number) })
const textOf = (number: number): ScopeText => scopeText(scopeOf(number))

interface Stage {
  readonly mode?: FenceMode
  readonly marked?: number
  readonly supervisors?: readonly number[]
}

function stage({ mode = 'automatic', marked, supervisors = [0] }: Stage = {}) {
  const clock = new FakeClock()
  const outcomes: WaitOutcome[] = []
  const marker = { now: marked }
  const fence = new Fence({
    mode,
    marker: {
      read: () => marker.now,
      set: (user) => (marker.now = user),
      clear: () => (marker.now = undefined),
    },
    supervisors: new Set(supervisors),
    clock,
    observer: { waitedForScope: (outcome) => void outcomes.push(outcome) },
  })
  fence.start()
  const supervisor = (...numbers: readonly number[]) => {
    const opened = fence.open()
    report(opened, numbers)
    return opened
  }
  return { clock, fence, outcomes, marker, supervisor }
}

function report(supervisor: ReturnType<Fence['open']>, numbers: readonly number[]) {
  supervisor.report({ kind: 'begin', workers })
  for (let from = 0; from < numbers.length; from += scopesPerLine) {
    const scopes = numbers.slice(from, from + scopesPerLine).map(textOf)
    supervisor.report({ kind: 'add', scopes })
  }
  return supervisor.report({ kind: 'complete' })
}

async function reasonOf(asked: Promise<void> | undefined): Promise<string> {
  try {
    await asked
    return 'answered'
  } catch (thrown) {
    return thrown instanceof MetadataError ? thrown.code : String(thrown)
  }
}

async function isRefused(t: Test, clock: FakeClock, asked: Promise<void> | undefined) {
  const reason = reasonOf(asked)
  await clock.advance(1_000)
  t.equal(await reason, 'scope_not_served')
}

t.test('Fence is open until a whole list has come, and closed from then on', async (t) => {
  const { clock, fence } = stage()
  t.equal(fence.status.state, 'open')
  const supervisor = fence.open()
  supervisor.report({ kind: 'begin', workers })
  supervisor.report({ kind: 'add', scopes: [textOf(1)] })
  t.equal(fence.require(worker, scopeOf(2)), undefined)
  t.equal(fence.status.scopes, 0)

  t.strictSame(supervisor.report({ kind: 'complete' }), { kind: 'accepted', scopes: 1 })

  t.match(fence.status, { state: 'closed', scopes: 1, supervisors: 1, areWorkersApart: true })
  t.equal(fence.require(worker, scopeOf(1)), undefined)
  t.equal(fence.admits(textOf(2)), false)
  await isRefused(t, clock, fence.require(worker, scopeOf(2)))
  const other: Scope = { kind: 'network', networkId: networkId(1) }
  await isRefused(t, clock, fence.require(worker, other))
})

t.test('Fence keeps the list when its supervisor is gone, for however long', async (t) => {
  const { clock, fence, supervisor } = stage()
  supervisor(1).close()
  await clock.advance(86_400_000)

  t.equal(fence.require(worker, scopeOf(1)), undefined)
  t.match(fence.status, { state: 'closed', supervisors: 0, scopes: 1 })
  t.equal(await reasonOf(fence.require(worker, scopeOf(2))), 'scope_not_served', 'at once')

  supervisor(2)
  t.equal(fence.admits(textOf(1)), false, 'whoever follows replaces it')
  t.equal(fence.admits(textOf(2)), true)
})

t.test('Fence swaps a list when the new one is whole', async (t) => {
  const { fence, supervisor } = stage()
  const one = supervisor(1, 2)
  one.report({ kind: 'begin', workers })
  one.report({ kind: 'add', scopes: [textOf(3)] })
  t.strictSame(
    [1, 2, 3].map((number) => fence.admits(textOf(number))),
    [true, true, false],
  )
  one.report({ kind: 'complete' })
  t.strictSame(
    [1, 2, 3].map((number) => fence.admits(textOf(number))),
    [false, false, true],
  )
})

t.test('Fence takes changes, and reports them', async (t) => {
  const { fence, supervisor } = stage()
  const served: ScopeText[][] = []
  let narrowed = 0
  fence.onServed((scopes) => void served.push([...scopes]))
  const end = fence.onNarrowed(() => (narrowed += 1))
  const one = supervisor(1)
  t.equal(narrowed, 1, 'when it closes')
  one.report({ kind: 'add', scopes: [textOf(1), textOf(2)] })
  t.equal(narrowed, 1)
  one.report({ kind: 'remove', scopes: [textOf(1)] })
  t.equal(narrowed, 2)
  t.strictSame(served, [[textOf(1)], [textOf(2)]])
  t.strictSame(
    [1, 2].map((number) => fence.serves(textOf(number))),
    [false, true],
  )
  end()
  one.report({ kind: 'remove', scopes: [textOf(2)] })
  t.equal(narrowed, 2)
})

t.test('Fence admits what either of two supervisors serves', async (t) => {
  const { fence, supervisor } = stage()
  const [one, other] = [supervisor(1, 2), supervisor(2, 3)]
  t.equal(fence.status.scopes, 3)
  one.report({ kind: 'remove', scopes: [textOf(2)] })
  t.equal(fence.admits(textOf(2)), true)
  one.close()
  report(other, [3])
  t.strictSame(
    [1, 2, 3].map((number) => fence.admits(textOf(number))),
    [false, false, true],
  )
})

t.test('Fence lets a request wait a second for the report of its scope', async (t) => {
  const { clock, fence, outcomes, supervisor } = stage()
  const one = supervisor(1)
  const early = reasonOf(fence.require(worker, scopeOf(2)))
  const late = reasonOf(fence.require(worker, scopeOf(3)))
  t.equal(fence.status.waiting, 2)
  await clock.advance(999)
  one.report({ kind: 'add', scopes: [textOf(2)] })
  t.equal(await early, 'answered')
  await clock.advance(1)
  t.equal(await late, 'scope_not_served')
  t.strictSame(outcomes, ['served', 'refused'])
  t.equal(fence.status.waiting, 0)
  t.equal(clock.waiting, 0)
})

t.test('Fence lets no more than 256 wait', async (t) => {
  const { clock, fence, outcomes, supervisor } = stage()
  supervisor(1)
  const waiting = Array.from({ length: 256 }, (_, number) =>
    reasonOf(fence.require(worker, scopeOf(number + 2))),
  )
  t.equal(await reasonOf(fence.require(worker, scopeOf(900))), 'scope_not_served')
  t.strictSame(outcomes, ['crowded'])
  t.equal(fence.require(worker, scopeOf(1)), undefined, 'what is reported does not wait')
  await clock.advance(1_000)
  t.strictSame([...new Set(await Promise.all(waiting))], ['scope_not_served'])
})

t.test('Fence concerns foreign proxies as soon as they run as the workers do', async (t) => {
  const { clock, fence, supervisor } = stage()
  supervisor(1)
  const foreign = (userId?: number): Peer => ({ kind: 'neutron', flavour: 'ml2', userId })
  t.equal(fence.require(foreign(0), scopeOf(2)), undefined)
  t.equal(fence.require(foreign(107), scopeOf(2)), undefined)
  await isRefused(t, clock, fence.require(foreign(workers), scopeOf(2)))
  await isRefused(t, clock, fence.require(foreign(), scopeOf(2)))
  const proxy = { name: 'other-host', maySpeakFor: () => true }
  t.equal(fence.require({ kind: 'overlapd', proxy }, scopeOf(2)), undefined, 'by certificate')
})

t.test('Fence waits for the first report after a restart of the agent', async (t) => {
  const { clock, fence, marker, supervisor } = stage({ marked: workers })
  t.equal(fence.status.state, 'starting')
  const [own, other] = [1, 2].map((number) => reasonOf(fence.require(worker, scopeOf(number))))
  const foreign = (userId: number): Peer => ({ kind: 'neutron', flavour: 'ovn', userId })
  const disguised = reasonOf(fence.require(foreign(workers), scopeOf(2)))
  t.equal(fence.require(foreign(107), scopeOf(2)), undefined)
  await clock.advance(1_500)
  supervisor(1)
  t.equal(await own, 'answered')
  t.equal(await other, 'scope_not_served')
  t.equal(await disguised, 'scope_not_served')
  t.equal(fence.status.state, 'closed')
  await clock.advance(10_000)
  t.equal(marker.now, workers)
})

t.test('Fence opens after a start at which no supervisor reports any more', async (t) => {
  const { clock, fence, marker } = stage({ marked: workers })
  const many = Array.from({ length: 300 }, (_, number) =>
    reasonOf(fence.require(worker, scopeOf(number))),
  )
  await clock.advance(4_999)
  t.equal(fence.status.waiting, 300)
  t.equal(marker.now, workers)
  await clock.advance(1)
  t.strictSame([...new Set(await Promise.all(many))], ['answered'])
  t.equal(fence.status.state, 'open')
  t.equal(marker.now, undefined, 'and the next start does not wait')
})

t.test('Fence that is always closed answers no guest before the first report', async (t) => {
  const { clock, fence, supervisor } = stage({ mode: 'always' })
  const early = reasonOf(fence.require(worker, scopeOf(1)))
  await clock.advance(5_000)
  t.equal(await early, 'scope_not_served')
  t.equal(fence.status.state, 'closed')
  t.equal(await reasonOf(fence.require(worker, scopeOf(1))), 'scope_not_served')
  supervisor(1)
  t.equal(fence.require(worker, scopeOf(1)), undefined)
})

t.test('Fence refuses reports that make no sense, and more scopes than a host has', async (t) => {
  const { fence } = stage()
  const supervisor = fence.open()
  t.throws(() => supervisor.report({ kind: 'complete' }), TypeError)
  t.throws(() => supervisor.report({ kind: 'add', scopes: [] }), TypeError)
  t.throws(() => supervisor.report({ kind: 'remove', scopes: [] }), TypeError)
  report(supervisor, [])
  t.throws(() => supervisor.report({ kind: 'complete' }), TypeError)
  supervisor.report({ kind: 'begin', workers })
  const fill = (): void => {
    for (let number = 0; number <= mostServedScopes; number += 1) {
      supervisor.report({ kind: 'add', scopes: [`network/${number}`] })
    }
  }
  t.throws(fill, RangeError)
  t.equal(fence.status.scopes, 0, 'what is not whole does not count')
})

t.test('Fence reports when workers could report by themselves', async (t) => {
  const { fence, supervisor } = stage({ supervisors: [0, workers] })
  supervisor(1)
  t.equal(fence.status.areWorkersApart, false)
})
