import t, { type Test } from 'tap'
import type { Port } from '../../../../agent-side/ports/directory/port-directory.ts'
import type { ScopeText } from '../../../../lib/identity/scope.ts'
import { guests, networks, overlappingTopology } from '../../../conformance/overlapping-topology.ts'
import { identities } from '../../../conformance/port-questions.ts'
import { ip, mac, networkId } from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeOvsdb, type FakeTables } from '../../../support/fake-ovsdb.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import { ovsMap, rowUuid, southboundRows } from '../../../support/ovn-rows.ts'

const whole = southboundRows(overlappingTopology())
const { macAddress } = guests.plain
const fixedIp = ip('10.0.0.10')
const ofPlain = { networkIds: [networks.plain], fixedIp, macAddress } as const

async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A directory in step with a server that from now on sends one message at a time. */
async function opened(t: Test, tables: FakeTables = whole) {
  const clock = new FakeClock()
  const fake = new FakeOvsdb('/one', {})
  fake.setTables(tables)
  const directory = ovnDirectory({
    clock,
    config: { copy: 'served', ovn_sb_connection: ['unix:/one'], max_unconfirmed: '2s' },
    connect: async () => fake.connect(),
  })
  t.teardown(async () => {
    const closed = directory.close()
    fake.cut()
    await closed
  })
  await directory.start()
  for (let round = 0; round < 9 && !directory.isConfirmed(); round += 1) await turns()
  fake.isMute = true
  const sent = fake.requests.length
  const methods = (): readonly string[] => fake.requests.slice(sent).map(({ method }) => method)
  const deliver = async (): Promise<void> => {
    fake.answerOne()
    await turns()
  }
  return { clock, fake, directory, deliver, methods }
}

type Opened = Awaited<ReturnType<typeof opened>>

/** @returns `undefined` where the query has to wait */
async function findNow(
  { directory }: Opened,
  query: Parameters<Opened['directory']['findPorts']>[0] = ofPlain,
  freshness: 'cached' | 'fresh' = 'cached',
): Promise<{ readonly ports: readonly Port[]; readonly until?: number } | undefined> {
  const abort = new AbortController()
  const answer = Promise.resolve(directory.findPorts(query, { signal: abort.signal, freshness }))
  const first = await Promise.race([answer, turns().then(() => undefined)])
  answer.catch(() => undefined)
  abort.abort(new Error('it has to wait'))
  return first
}

t.test(
  'the first guest of a new network is found before the conditions are in effect',
  async (t) => {
    const subject = await opened(t)
    const { directory, deliver, methods, clock } = subject
    directory.serve(new Set<ScopeText>([`network/${networks.plain}`]))
    await turns()
    t.equal(await findNow(subject), undefined)
    await deliver()
    await deliver()
    const found = await findNow(subject)
    t.strictSame(identities(found?.ports ?? []), identities([guests.plain]))
    t.equal(found?.until, clock.now() + 2_000, 'changes since are not reported')
    t.strictSame(methods(), ['transact', 'transact', 'monitor_cond_change'])
    t.equal(await findNow(subject, { ...ofPlain, macAddress: mac(0x999) }), undefined, 'a MAC')
    t.equal(await findNow(subject, { networkIds: [networks.plain] }), undefined)
    await clock.advance(1)
    t.equal(await findNow(subject, ofPlain, 'fresh'), undefined, 'read before the query')
    for (let message = 0; message < 3; message += 1) await deliver()
    const known = await findNow(subject)
    t.strictSame(identities(known?.ports ?? []), identities([guests.plain]))
    t.equal(known?.until, undefined, 'the server keeps it in step')
    t.strictSame(methods(), ['transact', 'transact', 'monitor_cond_change'], 'one change')
  },
)

t.test('a first look counts no longer than a copy that no server confirms', async (t) => {
  const subject = await opened(t)
  subject.directory.serve(new Set<ScopeText>([`network/${networks.plain}`]))
  await turns()
  await subject.deliver()
  await subject.deliver()
  await subject.clock.advance(1_900)
  t.ok(await findNow(subject))
  await subject.clock.advance(200)
  t.ok(subject.directory.isConfirmed())
  t.equal(await findNow(subject), undefined)
})

t.test('an address that is also an interface of a router has to wait', async (t) => {
  const { Port_Binding: ports = {} } = whole
  const doubled = Object.entries(ports).map(([uuid, row]) =>
    row['type'] === 'patch' && row['mac'] === 'router'
      ? [uuid, { ...row, external_ids: ovsMap({ 'neutron:cidrs': `${fixedIp}/24` }) }]
      : [uuid, row],
  )
  const subject = await opened(t, {
    ...whole,
    Port_Binding: Object.fromEntries(doubled) as FakeTables[string],
  })
  subject.directory.serve(new Set<ScopeText>([`network/${networks.plain}`]))
  await turns()
  await subject.deliver()
  await subject.deliver()
  t.equal(await findNow(subject), undefined)
})

t.test('a network that changes its datapaths during the first look is waited for', async (t) => {
  const subject = await opened(t)
  const { fake, directory, deliver, methods } = subject
  directory.serve(new Set<ScopeText>([`network/${networks.plain}`]))
  await turns()
  const { Datapath_Binding: datapaths = {} } = whole
  const row = Object.values(datapaths).find((one) => JSON.stringify(one).includes(networks.plain))
  const twin = { [rowUuid('twin')]: { ...row } }
  fake.setTables({ ...whole, Datapath_Binding: { ...datapaths, ...twin } })
  await deliver()
  await deliver()
  t.equal(await findNow(subject), undefined, 'the ports of the other were not read')
  t.equal(methods().at(-1), 'monitor_cond_change')
})

t.test('many new networks at once are not looked at one by one', async (t) => {
  const { directory, methods } = await opened(t)
  const ids = [networks.plain, networks.isolated, networks.twinOne, networkId(0x77)]
  directory.serve(new Set(ids.map((id): ScopeText => `network/${id}`)))
  await turns()
  t.strictSame(methods(), ['monitor_cond_change'])
})
