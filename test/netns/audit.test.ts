import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requestAdminJson } from '../../lib/http/admin-client.ts'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import type { ProxyAuditReport } from '../../proxy/admin/audit.ts'
import {
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { startProxy, type RunningProxy } from '../support/running-proxy.ts'

async function auditOf({ adminSocket }: RunningProxy): Promise<ProxyAuditReport> {
  return (await requestAdminJson(adminSocket, '/audit')).value as ProxyAuditReport
}

function isServing(count: number): (status: ProxyStatus) => boolean {
  return ({ namespaces }) =>
    namespaces.filter(
      ({ state, interception }) => state === 'serving' && interception === 'applied',
    ).length === count
}

/** A process in the namespace that listens on a TCP port of loopback until the test ends. */
async function listenIn(t: Test, netns: string, tcpPort: number): Promise<void> {
  const program = `require('node:net').createServer().listen(${tcpPort}, '127.0.0.1', () => console.log('listening'))`
  const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  })
  t.teardown(() => child.kill())
  await once(child.stdout, 'data')
}

if (skipUnlessPrivileged(t)) {
  t.test('the audit of a proxy finds what was changed behind its back', async (t) => {
    const names = [uniqueName(), uniqueName(), uniqueName(), uniqueName()] as const
    makeEmptyNamespaces(t, names)
    const [well, flushed, doubted, twice] = names
    const proxy = await startProxy(t)
    const ids = names.map(() => randomUUID())
    const called = names.map((_, index) => `qrouter-${ids[index]}`)
    for (const [index, netns] of names.entries()) {
      symlinkSync(`/run/netns/${netns}`, join(proxy.netnsFolder, called[index] ?? ''))
    }
    await proxy.until('serving', isServing(4))

    const before = await auditOf(proxy)
    t.strictSame(before.findings, [])
    t.match(before.checked, { namespaces: 4, listeners: 4, rule_sets: 4 })
    t.strictSame(before.scopes.toSorted(), ids.map((id) => `router/${id}`).toSorted())

    await runInNetns(flushed, ['nft', 'flush', 'ruleset'])
    await listenIn(t, doubted, 9698)
    symlinkSync(`/run/netns/${twice}`, join(proxy.netnsFolder, `qdhcp-${randomUUID()}`))
    await proxy.until('refusing', ({ refused }) => refused.length > 0)

    const removed = ({ findings: all }: ProxyAuditReport): boolean =>
      all.some(({ code }) => code === 'rules_removed')
    let report = await auditOf(proxy)
    while (!removed(report)) report = await auditOf(proxy)
    const { findings } = report
    const about = (netns: string): readonly unknown[] =>
      findings.filter((one) => one.about?.includes(ids[names.indexOf(netns)] ?? '?'))
    t.strictSame(about(well), [])
    t.match(about(flushed), [{ code: 'rules_removed', what: /^Removed once .*, last by nft \(/ }])
    t.strictSame(about(doubted), [], 'another port is not our business')
    t.match(about(twice), [{ code: 'namespace_refused' }])
  })

  t.test('the audit of a proxy names whoever holds the port', async (t) => {
    const name = uniqueName()
    makeEmptyNamespaces(t, [name])
    await listenIn(t, name, 9697)
    const proxy = await startProxy(t)
    const id = randomUUID()
    symlinkSync(`/run/netns/${name}`, join(proxy.netnsFolder, `qrouter-${id}`))
    await proxy.until('failing', ({ namespaces }) =>
      namespaces.some(({ state }) => state === 'failed'),
    )
    const { findings } = await auditOf(proxy)
    t.match(findings, [
      {
        code: 'foreign_listener',
        about: `qrouter-${id}`,
        what: /TCP port 9697: .*node.* -e /,
        effect: /the answers of that process/,
      },
    ])
  })
}
