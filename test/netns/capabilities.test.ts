import { symlinkSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import { capabilitiesOfUnit } from '../support/capabilities-of-unit.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { makeStage, startProxyOn, type RunningProxy } from '../support/running-proxy.ts'

/** A proxy that is root with these capabilities, a router and an isolated network. */
async function startWith(t: Test, capabilities: readonly string[]): Promise<RunningProxy> {
  const stage = await makeStage(t)
  const names = [uniqueName(), uniqueName()]
  makeEmptyNamespaces(t, names)
  for (const [index, prefix] of ['qrouter', 'qdhcp'].entries()) {
    const link = join(stage.netnsFolder, `${prefix}-${randomUUID()}`)
    symlinkSync(`/run/netns/${names[index]!}`, link)
  }
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',')
  return startProxyOn(t, stage, { by: ['setpriv', '--bounding-set', set, 'env', '-i'] })
}

function reached(wanted: string): (status: ProxyStatus) => boolean {
  return ({ namespaces }) => stateText(namespaces) === wanted
}

function stateText(namespaces: ProxyStatus['namespaces']): string {
  return namespaces
    .map(({ kind, state, interception }) => `${kind} ${state} ${interception ?? '-'}`)
    .sort()
    .join(', ')
}

const all = 'network serving -, router serving applied'

if (skipUnlessPrivileged(t)) {
  t.test('the capabilities of the unit are enough for everything', async (t) => {
    const proxy = await startWith(t, capabilitiesOfUnit())
    await proxy.until('all', reached(all))
    t.notMatch(proxy.log(), /"level":"(warn|error)"/)
    t.equal(await proxy.stop(), 0)
  })

  for (const [missing, wanted, said] of [
    ['sys_admin', 'network failed -, router failed -', /setns failed with EPERM/],
    ['net_admin', 'network serving -, router serving failed', /Cannot redirect/],
    ['net_bind_service', 'network failed -, router serving applied', /EACCES/],
  ] as const) {
    t.test(
      `without CAP_${missing.toUpperCase()} a part does not work, and the rest does`,
      async (t) => {
        const proxy = await startWith(
          t,
          capabilitiesOfUnit().filter((name) => name !== missing),
        )
        await proxy.until(wanted, reached(wanted))
        t.match(proxy.log(), said)
      },
    )
  }
}
