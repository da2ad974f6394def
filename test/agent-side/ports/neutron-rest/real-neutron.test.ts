import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { neutronRestDefaults } from '../../../../agent-side/ports/neutron-rest/config.ts'
import { NeutronRestDirectory } from '../../../../agent-side/ports/neutron-rest/directory.ts'
import { cloudFromEnvironment } from '../../../../agent-side/ports/neutron-rest/os-environment.ts'
import type { Cloud } from '../../../../agent-side/ports/neutron-rest/cloud.ts'
import type { NetworkId, RouterId } from '../../../../lib/ids.ts'
import type { IpAddress } from '../../../../lib/ip-address.ts'
import { systemClock } from '../../../../lib/clock.ts'
import { silentLogger } from '../../../../lib/log.ts'
import { createRegistry, Counter } from '../../../../lib/metrics.ts'
import { find, networksOf } from '../../../conformance/port-questions.ts'

/** What a real Neutron holds, as the laboratory's seed writes it. */
interface SeededPort {
  readonly router: RouterId | null
  readonly network: NetworkId
  readonly ip: IpAddress
  readonly ip6: IpAddress
  readonly instance: string
  readonly project_id: string
}

const {
  OVERLAPD_TEST_NEUTRON_URL: url,
  OVERLAPD_TEST_PORTS: portsFile,
  OS_AUTH_URL: authUrl,
} = process.env

const without =
  url === undefined || portsFile === undefined
    ? 'OVERLAPD_TEST_NEUTRON_URL and OVERLAPD_TEST_PORTS name no real Neutron'
    : false

async function storm(t: Test, cloud: Cloud): Promise<void> {
  const seeded = JSON.parse(readFileSync(portsFile ?? '', 'utf8')) as readonly SeededPort[]
  const registry = createRegistry()
  const directory = new NeutronRestDirectory({
    clock: systemClock,
    logger: silentLogger,
    registry,
    config: { ...neutronRestDefaults, ...cloud },
  })
  t.teardown(() => directory.close())
  for (const freshness of ['cached', 'fresh'] as const) {
    const asking = Array.from({ length: 280 }, async (_, index) => {
      const port = seeded[index % seeded.length]
      if (port === undefined) return false
      const networkIds =
        port.router === null ? [port.network] : await networksOf(directory, port.router, freshness)
      const byIp = await find(directory, { networkIds, fixedIp: port.ip }, freshness)
      const byIp6 = await find(directory, { networkIds, fixedIp: port.ip6 }, freshness)
      return [byIp, byIp6].every(
        (ports) =>
          ports.length === 1 &&
          ports[0]?.instanceId === port.instance &&
          ports[0]?.projectId === port.project_id,
      )
    })
    t.ok((await Promise.all(asking)).every(Boolean), `every port is right, ${freshness}`)
    if (freshness === 'fresh') continue
    const metric = registry.getSingleMetric('overlapd_neutron_rest_questions_total')
    t.ok(metric instanceof Counter)
    const counted = metric instanceof Counter ? (await metric.get()).values : []
    const questions = counted.filter(({ labels }) => labels['kind'] !== 'token')
    const asked = questions.reduce((sum, { value }) => sum + value, 0)
    t.ok(asked <= 5, `${asked} questions for 280 guests`)
  }
}

t.test('NeutronRestDirectory finds the ports of a real Neutron', { skip: without }, (t) =>
  storm(t, { authentication: { kind: 'none' }, endpoint: url ?? '', tls: { insecure: false } }),
)

t.test(
  'NeutronRestDirectory logs in to a real Keystone',
  { skip: without || (authUrl === undefined ? 'OS_AUTH_URL names no real Keystone' : false) },
  (t) => storm(t, cloudFromEnvironment(process.env)),
)
