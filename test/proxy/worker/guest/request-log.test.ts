import t from 'tap'
import { parseIpAddress } from '../../../../lib/identity/ip-address.ts'
import { NamespaceAccount } from '../../../../proxy/worker/guest/accounts.ts'
import { RequestLog, type LoggedRequest } from '../../../../proxy/worker/guest/request-log.ts'
import { guestListener, identifyGuest } from '../../../../proxy/worker/shared/guest-identity.ts'
import { networkId } from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const listener = guestListener(
  {
    listenerId: 1,
    scope: { kind: 'network', networkId: networkId(1) },
    flavour: 'ml2',
    netns: 'n',
    bound: 'b',
  },
  new NamespaceAccount('n', { clock: new FakeClock(), limit: 16 }),
)
const address = parseIpAddress('10.0.0.10')
if (address === undefined) throw new Error('no address')
const guest = identifyGuest(listener, address, undefined)

function request(requestId: string, began: number): LoggedRequest {
  return { requestId, method: 'GET', target: '/', began, lease: undefined, upstream: undefined }
}

t.test('RequestLog finds a request by its id, with its span', async (t) => {
  const clock = new FakeClock()
  const log = new RequestLog(clock)
  const began = clock.now()
  await clock.advance(25)
  log.add(request('a', began), guest, 'agent', 'relayed', 200, undefined)
  log.add(request('b', began), guest, 'worker', 'refused', 503, 'agent_unreachable')
  t.match(log.find('a'), {
    requestId: 'a',
    scope: `network/${networkId(1)}`,
    sourceIp: '10.0.0.10',
    answeredBy: 'agent',
    status: 200,
    span: 25,
    at: clock.wallTime() - 25,
  })
  t.match(log.find('b'), { answeredBy: 'worker', reason: 'agent_unreachable' })
  t.equal(log.find('c'), undefined)
})

t.test(
  'RequestLog keeps refusals when many good answers follow, and no more than its size',
  async (t) => {
    const log = new RequestLog(new FakeClock())
    log.add(request('bad', 0), guest, 'agent', 'relayed', 404, 'no_port')
    for (let count = 0; count <= 1_000; count += 1) {
      log.add(request(`good-${count}`, 0), guest, 'agent', 'relayed', 200, undefined)
    }
    t.match(log.find('bad'), { status: 404 })
    t.equal(log.find('good-0'), undefined)
    t.match(log.find('good-1'), { status: 200 })
  },
)

t.test(
  'RequestLog lists what is newer than a number, in order, and counts what it has forgotten',
  async (t) => {
    const log = new RequestLog(new FakeClock())
    log.add(request('before', 0), guest, 'agent', 'relayed', 200, undefined)
    const { last } = log.since(undefined)
    t.match(log.since(undefined), { last: 1, missed: 0, records: [] })
    log.add(request('one', 0), guest, 'agent', 'relayed', 200, undefined)
    log.add(request('two', 0), guest, 'worker', 'refused', 400, 'request_target_invalid')
    log.add(request('three', 0), guest, 'agent', 'relayed', 200, undefined)
    const ids = (after: number) => log.since(after).records.map(({ requestId }) => requestId)
    t.strictSame(ids(last), ['one', 'two', 'three'])
    t.strictSame(ids(3), ['three'])
    log.add(request('bad', 0), guest, 'worker', 'refused', 400, 'request_target_invalid')
    for (let count = 0; count < 399; count += 1) {
      log.add(request(`more-${count}`, 0), guest, 'agent', 'relayed', 200, undefined)
    }
    const many = log.since(4)
    t.equal(many.records.length, 300)
    t.equal(many.missed, 100)
    t.equal(many.records.at(-1)?.requestId, 'more-398')
    t.equal(many.records[0]?.requestId, 'bad', 'what went wrong is kept')
  },
)
