import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { cpuTimeOf, pssOf } from '../bench/process-figures.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { addManyOvnNetworks } from '../support/ovn-networks.ts'
import {
  eventually,
  hasProvisioned,
  ProvisionedHost,
  skipUnlessOvn,
} from '../support/provisioned-host.ts'

const count = 200

function lines(text: string): number {
  return text.split('\n').filter((line) => line !== '').length
}

if (skipUnlessPrivileged(t) && skipUnlessOvn(t)) {
  t.test(
    `${count} networks come at once, stay for nearly nothing, and go without a trace`,
    async (t) => {
      const host = await ProvisionedHost.open(t)
      const { central } = host
      const plans = Array.from({ length: count }, () => ({ cidrs: ['10.0.0.2/24'], mtu: 1442 }))
      const made = await addManyOvnNetworks(central, plans, () => '10.0.0.10')
      const networks = made.map(({ network }) => network)
      host.clean(networks)
      const proxy = await host.startProxy('poll_interval=2s')
      const before = await proxy.until('nothing', hasProvisioned(0))
      const planner = before.ovnProvision?.planner.pid ?? 0
      const descriptors = readdirSync(`/proc/${proxy.pid}/fd`).length
      const used = (): readonly number[] => [proxy.pid, planner].map(cpuTimeOf)
      const spent = (from: readonly number[]): string =>
        used()
          .map((now, index) => Math.round(now - (from[index] ?? 0)))
          .join(' and ')

      let start = performance.now()
      let from = used()
      const all = (word: string): string[] =>
        made.flatMap(({ port }, index) => [
          ...(index === 0 ? [] : ['--']),
          ...(word === 'lsp-bind' ? [word, port.id, host.chassis] : [word, port.id]),
        ])
      await central.sbctl(...all('lsp-bind'))
      await proxy.until('all', hasProvisioned(count))
      const attached = performance.now() - start
      await eventually(
        'plugged',
        async () => lines(await host.switch.vsctl('list-ports', host.switch.bridge)),
        (ports) => ports === count,
      )
      t.comment(
        `${count} networks bound in one transaction: served after ${Math.round(attached)} ms, plugged after ${Math.round(performance.now() - start)} ms; CPU of supervisor and planner ${spent(from)} ms; PSS ${Math.round(pssOf(proxy.pid))} and ${Math.round(pssOf(planner))} MiB`,
      )
      t.match(await host.inside(networks[count - 1]!), {
        addresses: ['10.0.0.2/24', '169.254.169.254/32'],
      })

      start = performance.now()
      from = used()
      const passes = 5
      await new Promise((resolve) => {
        setTimeout(resolve, passes * 2_000)
      })
      t.comment(
        `${passes} full passes over ${count}: CPU of supervisor and planner ${spent(from)} ms`,
      )

      start = performance.now()
      from = used()
      await central.sbctl(...all('lsp-unbind'))
      await proxy.until(
        'none',
        ({ namespaces, ovnProvision }) =>
          namespaces.length === 0 && ovnProvision?.networks.done === 0,
      )
      t.comment(
        `all given up after ${Math.round(performance.now() - start)} ms, of which 1000 ms are waiting; CPU ${spent(from)} ms`,
      )
      t.equal(networks.filter((network) => existsSync(host.path(network))).length, 0)
      t.equal(
        await eventually(
          'unplugged',
          async () => lines(await host.switch.vsctl('list-ports', host.switch.bridge)),
          (ports) => ports === 0,
        ),
        0,
      )
      t.equal(
        (await eventually(
          'descriptors as before',
          () => readdirSync(`/proc/${proxy.pid}/fd`).length,
          (now) => now <= descriptors,
        )) <= descriptors,
        true,
      )
    },
  )
}
