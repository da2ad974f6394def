import t from 'tap'
import type { Port } from '../../agent-side/ports/directory/port-directory.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type Fields } from '../support/start-agent.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'

function port(number: number, changes: Partial<Port> = {}): Port {
  return {
    portId: portId(number),
    networkId: networkId(1),
    macAddress: mac(number),
    fixedIps: [ip('10.0.0.10')],
    instanceId: instanceId(number),
    projectId: projectId(1),
    ...changes,
  }
}

const viaRouter: Fields[number] = ['X-Neutron-Router-ID', routerId(1)]
const from: Fields[number] = ['X-Forwarded-For', '10.0.0.10']

t.test('two ports with one address are never a choice', async (t) => {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setRouter(routerId(1), [networkId(1), networkId(2)])
  directory.setPorts(port(1), port(2, { networkId: networkId(2) }))
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })

  const refused = await agent.ask('/', [viaRouter, from])
  t.equal(refused?.status, 404)
  t.equal(refused?.field('x-overlapd-reason'), 'ambiguous_port')
  t.notMatch(refused?.body.toString(), portId(1), 'the guest hears nothing of either')
  t.equal(upstream.requests.length, 0)

  for (const number of [1, 2]) {
    const told = await agent.ask('/latest', [
      viaRouter,
      from,
      ['X-Overlapd-Source-MAC', mac(number)],
    ])
    t.equal(told?.body.toString(), instanceId(number), 'the source MAC tells them apart')
  }
  const line = agent.log.find((one) => one['reason'] === 'ambiguous_port')
  t.match(line, { resolution: { byAddress: [portId(1), portId(2)] }, requestId: /./ })
})

t.test('a port without instance or without project is no instance', async (t) => {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const { instanceId: _instance, ...orphan } = port(1)
  const { projectId: _project, ...ownerless } = port(2, { fixedIps: [ip('10.0.0.11')] })
  directory.setPorts(orphan, ownerless)
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })

  for (const [source, reason] of [
    ['10.0.0.10', 'port_without_instance'],
    ['10.0.0.11', 'port_without_project'],
  ] as const) {
    const answer = await agent.ask('/', [
      ['X-Neutron-Network-ID', networkId(1)],
      ['X-Forwarded-For', source],
    ])
    t.equal(answer?.status, 404)
    t.equal(answer?.field('x-overlapd-reason'), reason)
  }
  t.equal(upstream.requests.length, 0)
})
