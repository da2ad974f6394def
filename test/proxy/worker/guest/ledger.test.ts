import t from 'tap'
import type { Holder, Shortage } from '../../../../proxy/worker/guest/accounts.ts'
import { Holding, Ledger } from '../../../../proxy/worker/guest/ledger.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const KiB = 1024

class Guest implements Holder {
  isIdle = true
  gaveWay: Shortage | undefined
  holding: Holding | undefined

  giveWay(shortage: Shortage): void {
    this.gaveWay = shortage
  }
}

function makeLedger(limits: Partial<Ledger['limits']> = {}): Ledger {
  const whole = {
    connectionBytes: 100 * KiB,
    sourceBytes: 200 * KiB,
    namespaceBytes: 400 * KiB,
    processBytes: 600 * KiB,
    connectionsPerNamespace: 4,
    requestsPerSource: 2,
    ...limits,
  }
  return new Ledger(whole, new FakeClock())
}

function connect(ledger: Ledger, scope: string, address: string, mac?: string): Guest {
  const guest = new Guest()
  const account = ledger.namespace(scope)
  account.listeners = 1
  const opened = ledger.open(account, address, mac, guest)
  if (opened instanceof Holding) guest.holding = opened
  return guest
}

t.test('a newcomer takes the place of the oldest idle connection of the greediest source', (t) => {
  const ledger = makeLedger()
  const modest = connect(ledger, 'one', '10.0.0.1')
  const greedy = ['2', '2', '2'].map((host) => connect(ledger, 'one', `10.0.0.${host}`))
  greedy[0]!.isIdle = false
  const elsewhere = connect(ledger, 'two', '10.0.0.2')

  const newcomer = connect(ledger, 'one', '10.0.0.3')

  t.ok(newcomer.holding)
  t.strictSame(
    [modest, ...greedy, elsewhere].map(({ gaveWay }) => gaveWay),
    [undefined, undefined, 'namespace', undefined, undefined],
  )
  t.end()
})

t.test('one MAC with many addresses is one source, and so is one address with many MACs', (t) => {
  for (const others of [
    [
      ['10.0.0.2', 'aa'],
      ['10.0.0.3', 'aa'],
      ['10.0.0.4', 'aa'],
    ],
    [
      ['10.0.0.2', 'aa'],
      ['10.0.0.2', 'bb'],
      ['10.0.0.2', 'cc'],
    ],
  ] as const) {
    const ledger = makeLedger()
    const first = connect(ledger, 'one', '10.0.0.1', 'dd')
    const greedy = others.map(([address, mac]) => connect(ledger, 'one', address, mac))

    t.ok(connect(ledger, 'one', '10.0.0.5', 'ee').holding)

    t.equal(first.gaveWay, undefined)
    t.equal(greedy[0]!.gaveWay, 'namespace')
  }
  t.end()
})

t.test('the greediest source ends its own idle connection for a newcomer, or is refused', (t) => {
  const ledger = makeLedger()
  const held = [1, 2, 3, 4].map(() => connect(ledger, 'one', '10.0.0.1'))
  for (const each of held) each.isIdle = false
  t.equal(connect(ledger, 'one', '10.0.0.1').holding, undefined)
  held[2]!.isIdle = true
  t.ok(connect(ledger, 'one', '10.0.0.1').holding)
  t.equal(held[2]!.gaveWay, 'namespace')
  t.end()
})

t.test('bytes are bounded for connection, source, namespace and process', (t) => {
  const ledger = makeLedger({ connectionsPerNamespace: 100, namespaceBytes: 340 * KiB })
  const first = connect(ledger, 'one', '10.0.0.1')
  t.equal(first.holding!.holdAnswer(101 * KiB), false, 'connection')
  t.equal(first.holding!.holdAnswer(90 * KiB), true)
  const second = connect(ledger, 'one', '10.0.0.1')
  t.equal(second.holding!.holdInput(95 * KiB), false, 'source')
  t.equal(second.holding!.holdInput(80 * KiB), true)

  const third = connect(ledger, 'one', '10.0.0.2')
  const fourth = connect(ledger, 'one', '10.0.0.2')
  t.equal(third.holding!.holdBody(95 * KiB), true)
  t.equal(fourth.holding!.holdBody(70 * KiB), true, 'the greediest source gives way')
  t.equal(first.gaveWay, 'namespace')
  t.equal(second.gaveWay, undefined)

  for (const scope of ['two', 'three']) {
    for (const host of [1, 2]) {
      t.equal(connect(ledger, scope, `10.0.0.${host}`).holding!.holdBody(95 * KiB), true)
    }
  }
  t.ok(ledger.bytes <= 600 * KiB, `${ledger.bytes} in all`)
  t.end()
})

t.test('what is closed counts no more, however often it is closed', (t) => {
  const ledger = makeLedger()
  const guests = [1, 2, 3].map((host) => connect(ledger, 'one', `10.0.0.${host}`, 'aa'))
  for (const { holding } of guests) holding!.holdInput(10 * KiB)
  for (const { holding } of guests) {
    holding!.close()
    holding!.close()
    t.equal(holding!.holdInput(1), false)
  }
  t.equal(ledger.bytes, 0)
  t.equal(ledger.namespace('one').connections, 0)
  t.equal(ledger.namespace('one').sources.size, 0)
  t.end()
})

t.test('turns of a source go round in order, and those that left are passed over', async (t) => {
  const ledger = makeLedger({ connectionsPerNamespace: 100 })
  const turns: number[] = []
  const guests = [0, 1, 2, 3, 4].map(() => connect(ledger, 'one', '10.0.0.1'))
  const entered = guests.map(({ holding }, index) =>
    holding!.enter({ turnCame: () => void turns.push(index) }),
  )
  t.strictSame(entered, [true, true, false, false, false])
  guests[2]!.holding!.close()
  guests[0]!.holding!.leave()
  guests[0]!.holding!.leave()
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(turns, [3])
  guests[1]!.holding!.close()
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(turns, [3, 4])
})

t.test('answers that wait in the agent end when another guest waits for it', (t) => {
  const ledger = makeLedger()
  const [stalled, moving] = [connect(ledger, 'one', '10.0.0.1'), connect(ledger, 'one', '10.0.0.2')]
  stalled.holding!.stalls()
  moving.holding!.stalls()
  moving.holding!.moves()
  ledger.endStalled()
  t.equal(stalled.gaveWay, 'agent')
  t.equal(stalled.holding!.isOpen, false)
  t.equal(moving.gaveWay, undefined)
  t.end()
})
