import t from 'tap'
import { agentHealth, type WatchedUpstream } from '../../../agent-side/admin/agent-health.ts'
import { HealthWatch } from '../../../lib/operator/health-watch.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { Auditor, type AuditorParts } from '../../../agent-side/admin/auditor.ts'
import { DecisionLog, type Decision } from '../../../agent-side/requests/decision-log.ts'
import type { Port, PortDirectory } from '../../../agent-side/ports/directory/port-directory.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
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

const router = (number: number): Scope => ({ kind: 'router', routerId: routerId(number) })
const network = (number: number): Scope => ({ kind: 'network', networkId: networkId(number) })

function port(number: number, onNetwork: number, address: string): Port {
  return {
    portId: portId(number),
    networkId: networkId(onNetwork),
    macAddress: mac(number),
    fixedIps: [ip(address)],
    instanceId: instanceId(number),
    projectId: projectId(1),
    deviceOwner: 'compute:nova',
  }
}

function subject(
  parts: Partial<AuditorParts> & { readonly watched?: readonly WatchedUpstream[] } = {},
): {
  readonly clock: FakeClock
  readonly directory: ScriptedDirectory
  readonly decisions: DecisionLog
  audit(scopes?: readonly Scope[], withAnswers?: boolean): ReturnType<Auditor['audit']>
} {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setInterfaces(routerId(1), [
    { networkId: networkId(1), portId: portId(0x101) },
    { networkId: networkId(2), portId: portId(0x102) },
  ])
  directory.setPorts(port(1, 1, '10.0.0.1'), port(2, 2, '10.0.0.1'), port(3, 3, '10.0.0.1'))
  directory.remember()
  const decisions = new DecisionLog(100)
  const { watched = [], ...own } = parts
  const health = new HealthWatch({
    parts: () =>
      agentHealth({
        directory,
        upstreams: { all: watched },
        listeners: [],
        fence: undefined,
        decisions,
        shield: { refusals: () => ({}) },
        clock,
      }),
    served: () => ({}),
    clock,
    logger: silentLogger,
  })
  const auditor = new Auditor({
    health: () => health.report(),
    directory,
    sourceMac: 'prefer',
    upstreams: { all: [] },
    decisions,
    certificates: () => [],
    clock,
    timeout: 1_000,
    ...own,
  })
  return {
    clock,
    directory,
    decisions,
    audit: (scopes, withAnswers = false) => auditor.audit({ scopes, withAnswers }),
  }
}

t.test('audit() reports interfaces of routers whose port is not known', async (t) => {
  const { directory, audit } = subject()
  directory.setRouter(routerId(1), [networkId(1)])
  directory.remember()
  const { findings } = await audit([router(1)])
  t.match(findings, [{ code: 'router_port_unknown', about: `router/${routerId(1)}` }])
})

t.test('audit() looks at exactly what the named scopes can be queried for', async (t) => {
  const { audit } = subject()
  const report = await audit([router(1), network(3)], true)
  t.match(report.findings, [{ code: 'ambiguous_without_mac', about: `router/${routerId(1)}` }])
  t.equal(report.findings.length, 1)
  t.match(report.checked, { scopes: 2, networks: 3, ports: 3, addresses: 3 })
  t.match(report.answers, [
    { instanceId: instanceId(1) },
    { instanceId: instanceId(2) },
    { scope: `network/${networkId(3)}`, instanceId: instanceId(3) },
  ])
  // The two networks share an address only where one router has both.
  t.strictSame((await audit([network(1), network(2)])).findings, [])
})

t.test('audit() without scopes takes every network that the directory holds', async (t) => {
  const { audit } = subject()
  t.match(await audit(), { findings: [], checked: { scopes: 3, ports: 3 }, notes: [] })
})

t.test('audit() reports scopes that the directory does not know', async (t) => {
  const { audit, directory } = subject()
  directory.setRouter(routerId(2), [])
  directory.remember()
  const { findings } = await audit([router(2), router(9), network(9)])
  t.match(findings, [
    { code: 'scope_unknown', about: `router/${routerId(2)}` },
    { code: 'scope_unknown', about: `router/${routerId(9)}` },
    { code: 'scope_unknown', about: `network/${networkId(9)}` },
  ])
})

t.test('audit() distinguishes “could not query” from “unknown”', async (t) => {
  const { audit, directory } = subject()
  directory.failWith(new MetadataError('directory_timeout', 'Too slow'))
  const { findings } = await audit([router(1)])
  t.match(findings, [
    { code: 'scope_unanswered', about: `router/${routerId(1)}`, what: /Too slow/ },
  ])
  directory.state = { ready: false, detail: 'Waiting for the first dump' }
  const unready = await audit([router(1)])
  t.match(unready.findings, [{ code: 'directory_not_ready', what: /Waiting for the first dump/ }])
  t.match(unready.notes, [/not looked at/])
})

t.test('audit() queries network by network where nothing whole is held', async (t) => {
  const clock = new FakeClock()
  const held = new ScriptedDirectory(clock)
  held.setRouter(routerId(1), [networkId(1), networkId(2)])
  held.remember()
  const lists = new Map<NetworkId, readonly Port[]>([
    [networkId(1), [port(1, 1, '10.0.0.1'), port(2, 1, '10.0.0.1')]],
  ])
  const directory: PortDirectory = {
    kind: 'asked',
    start: () => held.start(),
    close: () => held.close(),
    readiness: () => held.readiness(),
    interfacesOfRouter: (id, asked) => held.interfacesOfRouter(id, asked),
    findPorts: (query, asked) => held.findPorts(query, asked),
    onChange: (listener) => held.onChange(listener),
    async portsOfNetwork(networkId) {
      const ports = lists.get(networkId)
      return ports && { ports, asOf: 0 }
    },
  }
  const { audit } = subject({ directory })
  const report = await audit([network(1), router(1)])
  t.match(report.findings, [{ code: 'ambiguous_without_mac', about: `network/${networkId(1)}` }])
  t.match(report.notes, [new RegExp(`not looked at: ${networkId(2)}`)])
  const { portsOfNetwork: _asked, ...questionsOnly } = directory
  const blind = await subject({ directory: questionsOnly }).audit([network(1)])
  t.match(blind, { findings: [], notes: [/address by address about 1 networks/] })
})

t.test('audit() reports what Nova and certificates are about to break', async (t) => {
  const clock = new FakeClock()
  const day = 86_400_000
  const upstream = (url: string, state: 'up' | 'down', changes: object = {}) => ({
    url,
    health: { state },
    hasTakenSecret: true,
    hasRefusedSecrets: false,
    secretSlot: 'current' as const,
    lastFailure: state === 'down' ? { why: 'ECONNREFUSED' } : undefined,
    pace: { slowness: undefined },
    ...changes,
  })
  const all = [
    upstream('http://a', 'up', { hasRefusedSecrets: true }),
    upstream('http://b', 'down'),
    upstream('http://c', 'up', { secretSlot: 'next' as const }),
  ]
  const { audit } = subject({
    upstreams: { all },
    watched: all,
    certificates: () => [
      { address: 'over', certificate: { expiresAt: clock.wallTime() - 1 } },
      { address: 'soon', certificate: { expiresAt: clock.wallTime() + 13 * day } },
      {
        address: 'fine',
        certificate: { expiresAt: clock.wallTime() + 15 * day, refusal: 'no key' },
      },
    ],
  })
  t.match((await audit([])).findings, [
    { code: 'secret_next', about: 'http://c' },
    { code: 'certificate_over', about: 'over' },
    { code: 'certificate_ends', about: 'soon' },
    { code: 'certificate_refused', about: 'fine', what: 'no key' },
    { code: 'compute_down', about: 'compute', what: 'http://b: ECONNREFUSED' },
    { code: 'secret_refused', about: 'secret', what: /^http:\/\/a answered 403/ },
  ])
  const dark = subject({ watched: [upstream('http://b', 'down')] })
  t.match((await dark.audit([])).findings, [{ code: 'no_compute' }])
})

t.test(
  'audit() sums up the refusals of the last hour that are not the guests’ own doing',
  async (t) => {
    const { audit, decisions, clock } = subject()
    const refuse = (requestId: string, reason: ReasonCode, minutesAgo: number): void => {
      decisions.add({
        requestId,
        at: clock.wallTime() - minutesAgo * 60_000,
        peer: { kind: 'overlapd' },
        method: 'GET',
        target: '/',
        key: { scope: network(3), sourceIp: ip('10.0.0.9'), sourceMac: mac(9) },
        resolution: undefined,
        findings: [],
        mappingAge: 0,
        outcome: 'refused',
        status: 404,
        reason,
        upstream: undefined,
        attempts: 0,
        span: 1,
      } satisfies Decision)
    }
    refuse('old', 'no_port', 61)
    refuse('first', 'no_port', 30)
    refuse('second', 'no_port', 20)
    refuse('spoof', 'source_mac_conflict', 10)
    refuse('shaky', 'rate_limited', 5)
    t.match((await audit([])).findings, [
      {
        code: 'recent_refusals',
        about: `network/${networkId(3)}`,
        what: /^source_mac_conflict once .* request spoof$/,
      },
      { what: /^no_port 2 times .* to 10\.0\.0\.9 .* request second$/ },
    ])
  },
)
