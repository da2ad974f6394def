import t from 'tap'
import { FakeClock } from '../support/fake-clock.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent } from '../support/start-agent.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'

const address = '10.0.0.10'
const howMany = 40

t.test(
  'one address on forty networks is forty instances, whatever guests request and in whatever order',
  async (t) => {
    const clock = new FakeClock()
    const directory = new ScriptedDirectory(clock)
    for (let number = 1; number <= howMany; number += 1) {
      directory.setRouter(routerId(number), [networkId(number)])
      directory.setPorts({
        portId: portId(number),
        networkId: networkId(number),
        macAddress: mac(number),
        fixedIps: [ip(address), ip('fd00::10')],
        instanceId: instanceId(number),
        projectId: projectId(number),
      })
    }
    directory.remember()
    const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
    t.teardown(() => upstream.close())
    const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })

    const asked: Promise<void>[] = []
    const ask = async (
      number: number,
      scope: [string, string],
      source: string,
      withMac: boolean,
    ) => {
      const fields: [string, string][] = [scope, ['X-Forwarded-For', source]]
      if (withMac) fields.push(['X-Overlapd-Source-MAC', mac(number)])
      const answer = await agent.ask('/openstack/latest/meta_data.json', fields)
      t.equal(answer?.status, 200)
      t.equal(answer?.body.toString(), instanceId(number))
    }
    for (let round = 0; round < 3; round += 1) {
      for (let number = 1; number <= howMany; number += 1) {
        const byRouter: [string, string] = ['X-Neutron-Router-ID', routerId(number)]
        const byNetwork: [string, string] = ['X-Neutron-Network-ID', networkId(number)]
        const byOvn: [string, string] = ['X-OVN-Network-ID', networkId(number)]
        asked.push(ask(number, byRouter, address, round !== 1))
        asked.push(ask(number, byNetwork, `::ffff:${address}`, round !== 2))
        asked.push(ask(number, byOvn, 'fd00:0::10', true))
      }
      await Promise.all(asked.splice(0))
    }

    for (const { headers } of upstream.requests) {
      const number = Number.parseInt(String(headers['x-instance-id']).slice(-12), 16)
      t.equal(headers['x-tenant-id'], projectId(number), 'the project goes with its instance')
    }
  },
)

t.test('an address means nothing in another scope', async (t) => {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setRouter(routerId(1), [networkId(1)])
  directory.setPorts({
    portId: portId(1),
    networkId: networkId(1),
    macAddress: mac(1),
    fixedIps: [ip(address)],
    instanceId: instanceId(1),
    projectId: projectId(1),
  })
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })

  for (const [name, value, reason] of [
    ['X-Neutron-Network-ID', networkId(2), 'no_port'],
    ['X-Neutron-Router-ID', routerId(2), 'no_network'],
    // A router's id is no network's, even where somebody made them equal text.
    ['X-Neutron-Network-ID', routerId(1), 'no_port'],
  ] as const) {
    const answer = await agent.ask('/', [
      [name, value],
      ['X-Forwarded-For', address],
    ])
    t.equal(answer?.status, 404)
    t.equal(answer?.field('x-overlapd-reason'), reason)
  }
  t.equal(upstream.requests.length, 0)
})
