/** What do tags of a network keep from its guests, whichever way their requests go? */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Explanation } from '../../lib/operator/explanation.ts'
import type { Port } from '../../agent-side/ports/directory/port-directory.ts'
import { networks, overlappingTopology } from '../conformance/overlapping-topology.ts'
import { networkId } from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeNeutron } from '../support/fake-neutron.ts'
import { guestPort, ioTurns, startLeasePair, type LeasePair } from '../support/lease-pair.ts'
import { get, type RawAnswer } from '../support/raw-http.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startAgent } from '../support/start-agent.ts'

const tag = 'overlapd:password:token=enforce'
const untagged = guestPort(1)
const tagged = guestPort(1, { networkTags: [tag] })
const password = '/openstack/latest/password'

interface Subject extends LeasePair {
  ask(target: string, as?: Port): Promise<RawAnswer>
}

async function start(t: Test, policy: string, ...ports: readonly Port[]): Promise<Subject> {
  const policyFile = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(policyFile, policy)
  const pair = await startLeasePair(t, {
    config: {
      // The directory of the test stands for it.
      ports: { kind: 'neutron-rest', neutron_rest: { auth_type: 'none', endpoint: 'http://none' } },
      shield: { policy_file: policyFile, network_tags: true },
    },
  })
  pair.directory.setPorts(...ports)
  pair.directory.remember()
  const ask: Subject['ask'] = async (target, as = untagged) => {
    const connection = await pair.worker.connectAs(as)
    void connection.write(get(target))
    const answer = await connection.answer()
    connection.close()
    if (answer === undefined) throw new Error('No answer')
    return answer
  }
  return { ...pair, ask }
}

function wordOf(answer: RawAnswer): string {
  return `${answer.status} ${answer.field('x-overlapd-reason') ?? ''}`.trim()
}

t.test('a tag is enforced over a file that is milder, and shown as what decided', async (t) => {
  const { ask, agent } = await start(t, 'default: { token: off }', tagged)
  const refused = await ask(password)
  t.equal(wordOf(refused), '401 token_missing')
  t.equal(wordOf(await ask('/openstack/latest/user_data')), '200', 'which it does not name')

  const detailOf = (explanation: unknown): unknown =>
    (explanation as Explanation).steps.find(({ step }) => step === 'shield')?.detail
  const key = `network=${tagged.networkId}&ip=127.0.1.1&mac=${tagged.macAddress}`
  t.match(detailOf(await agent.json(`/explain?${key}`)), {
    token: { password: `enforce (network tag ${tag})`, identity: 'off (default)' },
  })
  const id = refused.field('x-request-id')
  t.match(detailOf(await agent.json(`/explain?request=${id}`)), {
    token: `token_missing: refused for password (network tag ${tag})`,
  })
  t.match(
    await agent.text('/metrics'),
    /^overlapd_agent_shield_network_tags_total\{outcome="used"\} 1$/m,
  )
})

t.test('tags come from Neutron, and a changed one counts after max_age', async (t) => {
  const clock = new FakeClock()
  const neutron = new FakeNeutron()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  await neutron.listen()
  t.teardown(() => neutron.close())
  neutron.ports.set(overlappingTopology())
  neutron.ports.tags = { [networks.twinOne]: [tag] }
  const agent = await startAgent(t, {
    clock,
    upstreams: [upstream.url],
    config: {
      ports: {
        kind: 'neutron-rest',
        neutron_rest: { auth_type: 'none', endpoint: neutron.url, max_age: '2s' },
      },
      shield: { network_tags: true },
    },
  })
  const ask = async (id: string): Promise<string> => {
    const fields = [
      ['X-Neutron-Network-ID', id],
      ['X-Forwarded-For', '10.0.0.10'],
    ] as const
    return wordOf((await agent.ask(password, fields, { listener: 'ml2' }))!)
  }
  t.equal(await ask(networks.twinOne), '401 token_missing')
  t.equal(await ask(networks.twinTwo), '200', 'the same address on another network')
  neutron.ports.tags = { [networks.twinTwo]: [tag] }
  t.equal(await ask(networks.twinOne), '401 token_missing', 'as long as that is remembered')
  await clock.advance(2_500)
  t.equal(await ask(networks.twinOne), '200')
  t.equal(await ask(networks.twinTwo), '401 token_missing')
})

t.test('no tag makes a file milder', async (t) => {
  const milder = guestPort(1, {
    networkTags: ['overlapd:*:token=observe', 'overlapd:*:token=off', 'overlapd:*:seal=never'],
  })
  const { ask, agent } = await start(t, 'default: { token: enforce }', milder)
  t.equal(wordOf(await ask(password)), '401 token_missing')
  t.match(
    await agent.text('/metrics'),
    /^overlapd_agent_shield_network_tags_total\{outcome="unreadable"\} 2$/m,
  )
  const lines = agent.log.filter(({ first }) => first !== undefined)
  t.match(lines, [{ networkId: milder.networkId, tags: 2, first: 'overlapd:*:token=off' }])
})

t.test('a tag that comes ends leases of its network, and one that goes allows them', async (t) => {
  const { ask, worker, directory, pass } = await start(t, '', untagged)
  const directs = async (target: string): Promise<boolean> => {
    const before = await worker.direct()
    await ask(target)
    return (await worker.direct()) > before
  }
  const change = (port: Port): void => {
    directory.setPorts(port)
    directory.remember()
    directory.tell({ kind: 'network', networkId: networkId(1) })
  }
  await worker.askUntilLeased(untagged)
  t.equal(await directs('/latest/meta-data'), true)

  change(tagged)
  await worker.untilLeases(0)
  t.equal(wordOf(await ask(password)), '401 token_missing')
  t.equal(wordOf(await ask('/latest/meta-data')), '200')
  await ioTurns()
  t.equal(await worker.leases(), 0, 'a worker could not enforce it')

  change(untagged)
  // A worker takes a refused lease for an answer that long.
  await pass(1_000)
  await worker.askUntilLeased(untagged)
  t.equal(await directs('/latest/meta-data'), true)
})
