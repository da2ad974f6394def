import t from 'tap'
import { CoalescingCompute, mayShareAnswer } from '../../../agent-side/compute/coalescing.ts'
import type { ForwardCall, Forwarded } from '../../../agent-side/compute/compute-client.ts'
import type { Downstream, FlatHeaders } from '../../../agent-side/compute/exchange.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { instanceId, ip, projectId } from '../../conformance/topology.ts'

/** A guest that takes what it gets. */
class Receiver implements Downstream {
  status = 0
  body = ''
  isGone = false
  hasEnded = false
  start(status: number, _headers: FlatHeaders): void {
    this.status = status
  }
  write(chunk: Uint8Array): boolean {
    this.body += Buffer.from(chunk).toString()
    return true
  }
  end(): void {
    this.hasEnded = true
  }
  destroy(): void {
    this.isGone = true
  }
  onceDrained(): void {}
  onGone(): () => void {
    return () => undefined
  }
}

const userData = '/openstack/latest/user_data'

function callOf(
  target: string,
  options: { instance?: number; address?: string; method?: string } = {},
): ForwardCall & { readonly downstream: Receiver } {
  const { instance = 1, address = '10.0.0.1', method = 'GET' } = options
  return {
    identity: {
      instanceId: instanceId(instance),
      projectId: projectId(instance),
      sourceIp: ip(address),
    },
    request: { method, target },
    downstream: new Receiver(),
    mayReconsider: false,
    isBooting: false,
  }
}

interface Subject {
  readonly clock: FakeClock
  readonly compute: CoalescingCompute
  /** What compute was asked. */
  readonly asked: ForwardCall[]
  /** How compute answers. */
  answer: (call: ForwardCall, number: number) => Forwarded | Promise<Forwarded>
}

function kept(text: string, status = 200): Forwarded {
  const answer = { status, headers: ['content-type', 'text/plain'], body: [Buffer.from(text)] }
  return { kind: 'kept', status, answer, upstream: 0, attempts: 1 }
}

function subject(maxBytes = 1_000_000): Subject {
  const clock = new FakeClock()
  const asked: ForwardCall[] = []
  const made: Subject = {
    clock,
    asked,
    answer: (_call, number) => kept(`answer ${number}`),
    compute: new CoalescingCompute({
      clock,
      ttl: 2_000,
      maxBytes,
      compute: {
        forward: async (call) => {
          asked.push(call)
          return made.answer(call, asked.length)
        },
      },
    }),
  }
  return made
}

t.test(
  'mayShareAnswer() takes the documents that are the same each time, and no other',
  async (t) => {
    for (const target of [
      userData,
      '/openstack/2018-08-27/network_data.json',
      '/openstack/latest/vendor_data.json',
      '/openstack/latest/vendor_data2.json',
      '/latest/user-data',
      '/2009-04-04/meta-data/',
      '/latest/meta-data/public-keys/0=my-key/openssh-key',
      '/1.0/meta-data/instance-id',
    ]) {
      t.ok(mayShareAnswer({ method: 'GET', target }), target)
      t.notOk(mayShareAnswer({ method: 'HEAD', target }), `HEAD ${target}`)
    }
    for (const target of [
      '/',
      '/openstack',
      '/openstack/latest/meta_data.json',
      '/openstack/2013-04-04/password',
      '/openstack/latest/x/../user_data',
      '/openstack/../latest/meta-data/..',
      '/latest/meta-data/../../openstack/latest/password',
      '/openstack/latest/user_data?x=1',
      '/openstack/latest//user_data',
      '//openstack/latest/user_data',
      '/openstack/latest/%75ser_data',
      '/openstack/content/0000',
      '/latest/meta-data/public-keys//0',
    ]) {
      t.notOk(mayShareAnswer({ method: 'GET', target }), target)
    }
  },
)

t.test('one answer serves guests that request the same until it is too old', async (t) => {
  const { compute, clock, asked } = subject()
  for (const expected of ['answer 1', 'answer 1']) {
    const call = callOf(userData)
    const forwarded = await compute.forward(call)
    t.match(forwarded, { kind: 'relayed', status: 200, upstream: 0 })
    t.equal(call.downstream.body, expected)
    t.ok(call.downstream.hasEnded)
    await clock.advance(1_999)
  }
  await clock.advance(1)
  const late = callOf(userData)
  await compute.forward(late)
  t.equal(late.downstream.body, 'answer 2')
  t.equal(asked.length, 2)
})

t.test('an answer belongs to one instance at one address and one target', async (t) => {
  const { compute, asked } = subject()
  for (const call of [
    callOf(userData),
    callOf(userData, { instance: 2 }),
    callOf(userData, { address: '10.0.0.2' }),
    callOf('/latest/user-data'),
  ]) {
    await compute.forward(call)
    t.equal(call.downstream.body, `answer ${asked.length}`)
  }
  t.equal(asked.length, 4)
})

t.test('those who come while the answer is on its way share it', async (t) => {
  let finish = (): void => undefined
  const made = subject()
  made.answer = () =>
    new Promise((resolve) => {
      finish = () => resolve(kept('shared'))
    })
  const calls = [callOf(userData), callOf(userData), callOf(userData)]
  const forwarding = calls.map((call) => made.compute.forward(call))
  finish()
  for (const [index, one] of forwarding.entries()) {
    t.equal((await one).attempts, index === 0 ? 1 : 0)
  }
  t.equal(made.asked.length, 1)
  t.strictSame(
    calls.map(({ downstream }) => downstream.body),
    ['shared', 'shared', 'shared'],
  )
})

t.test('when there is nothing to share, each is queried for itself', async (t) => {
  for (const outcome of [
    { kind: 'relayed', status: 404, upstream: 0, attempts: 1 },
    { kind: 'left', upstream: 0, attempts: 1 },
    kept('doubtful', 404),
  ] as const satisfies readonly Forwarded[]) {
    const made = subject()
    made.answer = async () => outcome
    const calls = [callOf(userData), callOf(userData)]
    const forwarded = await Promise.all(calls.map((call) => made.compute.forward(call)))
    t.strictSame(forwarded, [outcome, outcome])
    t.equal(made.asked.length, 2)
  }
  const failing = subject()
  failing.answer = async () => {
    throw new Error('overloaded')
  }
  const both = [callOf(userData), callOf(userData)].map((call) => failing.compute.forward(call))
  for (const one of both) await t.rejects(one, { message: 'overloaded' })
})

t.test('other requests pass by untouched', async (t) => {
  const { compute, asked } = subject()
  const call = callOf('/openstack/latest/meta_data.json')
  t.equal((await compute.forward(call)).kind, 'kept')
  t.equal(asked[0], call)
})

t.test('kept answers take bounded memory', async (t) => {
  const made = subject(4_096)
  made.answer = (_call, number) => kept(`${number}`.padEnd(1_000))
  for (let instance = 1; instance <= 20; instance += 1) {
    await made.compute.forward(callOf(userData, { instance }))
  }
  await made.compute.forward(callOf(userData, { instance: 20 }))
  t.equal(made.asked.length, 20, 'the last one is there')
  await made.compute.forward(callOf(userData, { instance: 1 }))
  t.equal(made.asked.length, 21, 'the first one is not')
})
