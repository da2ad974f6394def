import t, { type Test } from 'tap'
import { agentConfig, type AgentConfig } from '../../agent-side/config/config.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type Fields, type RunningAgent } from '../support/start-agent.ts'

const network: Fields[number] = ['X-Neutron-Network-ID', networkId(1)]
const otherNetwork: Fields[number] = ['X-Neutron-Network-ID', networkId(2)]
const overIpv4: Fields = [
  network,
  ['X-Forwarded-For', '10.0.0.1'],
  ['X-Overlapd-Source-MAC', mac(1)],
]
const overIpv6: Fields = [
  network,
  ['X-Forwarded-For', 'fd00::1'],
  ['X-Overlapd-Source-MAC', mac(1)],
]
const overLinkLocal: Fields = [
  network,
  ['X-Forwarded-For', 'fe80::1'],
  ['X-Overlapd-Source-MAC', mac(1)],
]
const overSecondNic: Fields = [otherNetwork, ['X-Forwarded-For', '10.0.0.1']]
const neighbour: Fields = [
  network,
  ['X-Forwarded-For', '10.0.0.2'],
  ['X-Overlapd-Source-MAC', mac(2)],
]
const nobody: Fields = [network, ['X-Forwarded-For', '10.0.0.9'], ['X-Overlapd-Source-MAC', mac(9)]]
const otherNobody: Fields = [
  network,
  ['X-Forwarded-For', '10.0.0.8'],
  ['X-Overlapd-Source-MAC', mac(8)],
]

interface Subject {
  readonly clock: FakeClock
  readonly directory: ScriptedDirectory
  readonly agent: RunningAgent
  readonly upstream: RecordingUpstream
}

/** Three requests in ten seconds, and no boots unless told otherwise. */
async function subject(
  t: Test,
  rateLimit: Partial<AgentConfig['rate_limit']> | Record<string, unknown> = {},
  bootRequests = 0,
): Promise<Subject> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  const dualStack = { macAddress: mac(1), fixedIps: [ip('10.0.0.1'), ip('fd00::1')] }
  directory.setPorts(
    { ...dualStack, portId: portId(1), networkId: networkId(1), ...owner(1) },
    { ...dualStack, portId: portId(3), networkId: networkId(2), macAddress: mac(3), ...owner(1) },
    {
      portId: portId(2),
      networkId: networkId(1),
      macAddress: mac(2),
      fixedIps: [ip('10.0.0.2')],
      ...owner(2),
    },
  )
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    config: {
      boot: { requests: bootRequests },
      rate_limit: {
        enabled: true,
        base_window_duration: 10,
        base_query_rate_limit: 3,
        burst_window_duration: 10,
        burst_query_rate_limit: 3,
        ...rateLimit,
      },
    },
  })
  return { clock, directory, agent, upstream }
}

function owner(number: number) {
  return { instanceId: instanceId(number), projectId: projectId(number) }
}

function times(count: number, fields: Fields): readonly Fields[] {
  return Array.from({ length: count }, () => fields)
}

async function statusesOf(agent: RunningAgent, asking: readonly Fields[]): Promise<unknown[]> {
  const statuses: unknown[] = []
  for (const fields of asking) statuses.push((await agent.ask('/latest', fields))?.status)
  return statuses
}

t.test('an instance is limited over both families and all its NICs together', async (t) => {
  const { agent, clock, upstream } = await subject(t)

  t.strictSame(
    await statusesOf(agent, [overIpv4, overIpv6, overSecondNic, overLinkLocal, overIpv4, overIpv6]),
    [200, 200, 200, 429, 429, 429],
  )
  t.strictSame(await statusesOf(agent, [neighbour]), [200], 'its neighbour is another instance')
  t.equal(upstream.requests.length, 4, 'compute hears nothing of what was refused')

  await clock.advance(7_001)
  const refused = await agent.ask('/latest', overIpv6)
  t.equal(refused?.status, 429)
  t.equal(refused?.field('x-overlapd-reason'), 'rate_limited')
  t.equal(refused?.field('retry-after'), '3', 'exactly when, in whole seconds')
  t.match(refused?.body.toString(), /^Too many requests/)
  await clock.advance(2_999)
  t.strictSame(await statusesOf(agent, [overIpv6]), [200])
})

t.test('a guest that polls steadily, too fast and without pause gets its share', async (t) => {
  const { agent, clock } = await subject(t)
  const statuses: (number | undefined)[] = []
  for (let second = 0; second < 60; second += 1) {
    statuses.push((await agent.ask('/latest', overIpv4))?.status)
    await clock.advance(1_000)
  }
  t.equal(statuses.filter((status) => status === 200).length, 18, '3 in every 10 seconds')
  t.ok(statuses.slice(50).includes(200), 'to the end')
})

t.test('the burst window limits inside of the base window', async (t) => {
  const { agent, clock } = await subject(t, {
    base_window_duration: 60,
    base_query_rate_limit: 5,
    burst_window_duration: 1,
    burst_query_rate_limit: 2,
  })
  t.strictSame(await statusesOf(agent, [overIpv4, overIpv4, overIpv4]), [200, 200, 429])
  await clock.advance(1_000)
  t.strictSame(await statusesOf(agent, [overIpv4, overIpv4, overIpv4]), [200, 200, 429])
  await clock.advance(1_000)
  t.strictSame(await statusesOf(agent, [overIpv4, overIpv4]), [200, 429])
  t.equal((await agent.ask('/latest', overIpv4))?.field('retry-after'), '58')
})

t.test('a boot is not limited, what comes after it is', async (t) => {
  const { agent, clock } = await subject(t, {}, 28)
  const boot = Array.from({ length: 28 }, () => overIpv4)
  t.strictSame(new Set(await statusesOf(agent, boot)), new Set([200]))
  t.strictSame(
    await statusesOf(agent, [overIpv4, overIpv4, overIpv6, overIpv4]),
    [200, 200, 200, 429],
  )
  t.match(await agent.text('/metrics'), /overlapd_agent_rate_limit_exempt_total 28/)
  await clock.advance(600_000)
  t.strictSame(new Set(await statusesOf(agent, boot)), new Set([200]), 'another boot')
})

t.test('a source that is no instance is limited before any lookup', async (t) => {
  const { agent, directory, clock } = await subject(t)
  t.strictSame(await statusesOf(agent, [nobody, nobody, nobody]), [404, 404, 404])
  const questions = directory.asked.length
  await clock.advance(5_000)
  const refused = await agent.ask('/latest', nobody)
  t.equal(refused?.status, 429)
  t.equal(refused?.field('retry-after'), '5')
  t.equal(directory.asked.length, questions)
  const sameMac: Fields = [
    network,
    ['X-Forwarded-For', 'fd00::9'],
    ['X-Overlapd-Source-MAC', mac(9)],
  ]
  t.strictSame(await statusesOf(agent, [sameMac]), [429], 'by its MAC, whatever the address')
  t.strictSame(await statusesOf(agent, [otherNobody, overIpv4]), [404, 200])
  await clock.advance(5_000)
  t.strictSame(await statusesOf(agent, [nobody]), [404])
})

t.test('that the directory cannot be queried counts against no guest', async (t) => {
  const { agent, directory } = await subject(t)
  directory.failWith(new MetadataError('directory_unavailable', 'gone'))
  t.strictSame(new Set(await statusesOf(agent, times(6, overIpv4))), new Set([503]))
  directory.failWith()
  t.strictSame(await statusesOf(agent, [overIpv4]), [200])
})

t.test('a dry run refuses nothing and reports what it would refuse', async (t) => {
  const { agent } = await subject(t, { dry_run: true })
  t.strictSame(new Set(await statusesOf(agent, times(10, overIpv4))), new Set([200]))
  t.strictSame(new Set(await statusesOf(agent, times(5, nobody))), new Set([404]))
  const metrics = await agent.text('/metrics')
  t.match(metrics, /overlapd_agent_rate_limit_would_limit_total\{subject="instance"\} 7/)
  t.match(metrics, /overlapd_agent_rate_limit_would_limit_total\{subject="source"\} 2/)
  t.match(metrics, /overlapd_agent_rate_limit_limited_total\{subject="instance"\} 0/)
})

t.test('operators see who is limited, guests and metrics do not', async (t) => {
  const { agent } = await subject(t)
  const answers = times(9, overIpv4)
  t.strictSame((await statusesOf(agent, answers)).filter((status) => status === 429).length, 6)
  t.match(await agent.json('/status'), {
    rateLimit: {
      enabled: true,
      dryRun: false,
      offenders: [{ instanceId: instanceId(1), refused: 6 }],
    },
  })
  const metrics = await agent.text('/metrics')
  t.match(metrics, /overlapd_agent_rate_limit_limited_total\{subject="instance"\} 6/)
  t.match(metrics, /overlapd_agent_rate_limit_instances 1/)
  t.notMatch(metrics, instanceId(1))
  const refused = await agent.ask('/latest', overIpv4)
  t.notMatch(`${refused?.head}${refused?.body.toString()}`, instanceId(1))
})

t.test('limits change while the agent runs', async (t) => {
  const { agent } = await subject(t)
  const load = (flags: Record<string, string>): AgentConfig =>
    loadConfig(agentConfig.table, {
      environment: {
        OVERLAPD_AGENT_RATE_LIMIT_ENABLED: 'true',
        ...flags,
      },
      environmentPrefix: agentConfig.environmentPrefix,
    }).config
  t.strictSame(await statusesOf(agent, times(4, overIpv4)), [200, 200, 200, 429])
  agent.agent.reconfigure(load({}))
  t.strictSame(
    (await statusesOf(agent, times(8, overIpv4))).filter((status) => status === 200).length,
    7,
    'Neutron’s defaults are ten in ten seconds, of which three are gone',
  )
  agent.agent.reconfigure(load({ OVERLAPD_AGENT_RATE_LIMIT_ENABLED: 'false' }))
  t.strictSame(new Set(await statusesOf(agent, times(20, overIpv4))), new Set([200]))
})

t.test('nothing is limited unless it is configured', async (t) => {
  const { agent } = await subject(t, { enabled: false })
  t.strictSame(new Set(await statusesOf(agent, times(30, overIpv4))), new Set([200]))
})
