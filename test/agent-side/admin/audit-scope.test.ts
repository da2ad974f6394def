import t from 'tap'
import { auditScope, type ScopeContents } from '../../../agent-side/admin/audit-scope.ts'
import type { Port } from '../../../agent-side/ports/directory/port-directory.ts'
import { sourceMacPolicies } from '../../../agent-side/resolve/identity-policy.ts'
import { Resolver } from '../../../agent-side/resolve/resolver.ts'
import { Cancellation } from '../../../lib/runtime/cancellation.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import { parseMacAddress } from '../../../lib/identity/mac-address.ts'
import type { Scope } from '../../../lib/identity/scope.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ScriptedDirectory } from '../../support/scripted-directory.ts'
import { SeededRandom } from '../../support/random.ts'

const router: Scope = { kind: 'router', routerId: routerId(1) }

function port(number: number, changes: Partial<Port> = {}): Port {
  return {
    portId: portId(number),
    networkId: networkId(1),
    macAddress: mac(number),
    fixedIps: [ip(`10.0.0.${number}`)],
    instanceId: instanceId(number),
    projectId: projectId(1),
    deviceOwner: 'compute:nova',
    ...changes,
  }
}

function contents(...ports: readonly Port[]): ScopeContents {
  return { scope: router, networkIds: [networkId(1), networkId(2)], ports }
}

function codes(ports: readonly Port[], policy: 'prefer' | 'off' = 'prefer'): readonly string[] {
  return auditScope({ sourceMac: policy }, contents(...ports)).findings.map(({ code }) => code)
}

t.test('auditScope() finds nothing where each address and MAC is one port’s', async (t) => {
  const { findings, answers } = auditScope({ sourceMac: 'prefer' }, contents(port(1), port(2)))
  t.strictSame(findings, [])
  t.match(answers, [
    { scope: `router/${routerId(1)}`, address: '10.0.0.1', instanceId: instanceId(1) },
    { address: '10.0.0.2', instanceId: instanceId(2) },
  ])
})

t.test(
  'auditScope() distinguishes addresses that only a MAC identifies from hopeless ones',
  async (t) => {
    const twin = port(2, { networkId: networkId(2), fixedIps: [ip('10.0.0.1')] })
    t.strictSame(codes([port(1), twin]), ['ambiguous_without_mac'])
    t.strictSame(codes([port(1), twin], 'off'), ['ambiguous_address'])
    const clone = { ...twin, macAddress: mac(1) }
    const { findings, answers } = auditScope({ sourceMac: 'prefer' }, contents(port(1), clone))
    t.match(findings, [{ code: 'shared_mac' }, { code: 'ambiguous_address' }])
    for (const id of [portId(1), portId(2), instanceId(1), instanceId(2)]) {
      t.match(findings[1]?.what, id)
    }
    t.match(answers, [{ reason: 'ambiguous_port' }, { reason: 'ambiguous_port' }])
  },
)

t.test(
  'auditScope() leaves out what sends no requests, and reports guests without owners',
  async (t) => {
    const { instanceId: _instance, ...nobodys } = port(3)
    const { projectId: _project, ...projectless } = port(4)
    const dhcp = port(5, { deviceOwner: 'network:dhcp' })
    const { findings, answers } = auditScope(
      { sourceMac: 'prefer' },
      contents(nobodys, projectless, dhcp),
    )
    t.match(findings, [{ code: 'port_without_instance' }, { code: 'port_without_project' }])
    t.match(answers, [{ address: '10.0.0.4', reason: 'port_without_project' }])
    t.strictSame(codes([{ ...nobodys, deviceOwner: '' }]), [])
  },
)

t.test('auditScope() gives for any address what the resolver would do', async (t) => {
  const random = new SeededRandom(20_26)
  const below = (count: number): number => Math.floor(random.next() * count)
  const outcomes = new Set<string>()
  for (let round = 0; round < 80; round += 1) {
    const policy = sourceMacPolicies[below(3)] ?? 'prefer'
    const networkIds: readonly NetworkId[] = [networkId(1), networkId(2)]
    const ports = Array.from({ length: 1 + below(6) }, (_, number) => {
      const {
        instanceId: owner,
        projectId: project,
        ...rest
      } = port(number + 1, {
        networkId: networkId(1 + below(2)),
        macAddress: mac(1 + below(4)),
        fixedIps: [ip(`10.0.0.${1 + below(4)}`), ip(`fd00::${1 + below(3)}`)],
        instanceId: instanceId(1 + below(5)),
      })
      return {
        ...rest,
        ...(random.next() < 0.9 && { instanceId: owner }),
        ...(random.next() < 0.9 && { projectId: project }),
      }
    })

    const { findings, answers } = auditScope(
      { sourceMac: policy },
      { scope: router, networkIds, ports },
    )

    const guests = ports.filter((one) => one.instanceId !== undefined)
    t.equal(answers.length, guests.length * 2)
    t.notOk(findings.some(({ code }) => code === 'wrong_instance'))
    const refused = answers.filter(({ reason }) => reason !== undefined)
    t.equal(
      refused.length > 0,
      findings.some(({ code }) => ['ambiguous_address', 'port_without_project'].includes(code)),
    )
    for (const { address, macAddress, instanceId: told, reason } of answers) {
      const clock = new FakeClock()
      const directory = new ScriptedDirectory(clock, { answersAtOnce: true })
      directory.setRouter(routerId(1), networkIds)
      directory.setPorts(...ports)
      directory.remember()
      const resolver = new Resolver({
        directory,
        clock,
        sourceMac: policy,
        cache: { max: 10, ttl: 0, maxNegative: 10, maxNegativePerScope: 10, ttlNegative: 0 },
        timeout: 1_000,
        maxLookups: 10,
        maxLookupsPerScope: 10,
      })
      const signal = new Cancellation().signal
      const key = { scope: router, sourceIp: ip(address), sourceMac: parseMacAddress(macAddress) }
      const resolution = await resolver.resolve(key, { signal })
      outcomes.add(resolution.kind)
      t.strictSame(
        resolution.kind === 'found' ? [resolution.identity.instanceId] : [resolution.reason],
        [told ?? reason],
      )
      resolver.close()
    }
  }
  t.strictSame([...outcomes].toSorted(), ['ambiguous', 'found', 'none'])
})
