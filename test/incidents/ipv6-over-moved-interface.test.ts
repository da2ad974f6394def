// An IPv6 request came in by an interface that was made on the host and moved into the namespace, as Open vSwitch's ports are. Node's
// `remoteAddress` threw ENXIO, since the workers' own namespace has no such interface, and the worker ended: 20 requests, 20 dead
// workers. Right is 200 each time, and no worker notices.
import { randomUUID } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { startProxy } from '../support/running-proxy.ts'

const requests = 20
const url = 'http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/meta_data.json'

if (skipUnlessPrivileged(t)) {
  t.test('a guest sends requests over IPv6 by an interface that was moved in', async (t) => {
    const [host, router, guest] = [uniqueName(), uniqueName(), uniqueName()]
    makeEmptyNamespaces(t, [host, router, guest])
    ipBatch(
      [
        'link add x1 index 1234567 type veth peer name x2 index 1234568',
        `link set x1 netns ${router} name qr-0a1b2c3d-4e address fa:16:3e:ff:00:01`,
        `link set x2 netns ${guest} name eth0 address fa:16:3e:00:00:20`,
      ],
      host,
    )
    for (const [netns, device, address, linkLocal] of [
      [router, 'qr-0a1b2c3d-4e', '10.0.0.1/24', 'fe80::1/64'],
      [guest, 'eth0', '10.0.0.20/24', 'fe80::f816:3eff:fe00:20/64'],
    ] as const) {
      ipBatch(
        [
          'link set lo up',
          `link set ${device} addrgenmode none up`,
          `addr add ${address} dev ${device}`,
          `addr add ${linkLocal} dev ${device} nodad`,
        ],
        netns,
      )
    }
    ipBatch(['route add fe80::a9fe:a9fe/128 via fe80::1 dev eth0'], guest)
    const proxy = await startProxy(t)
    symlinkSync(`/run/netns/${router}`, join(proxy.netnsFolder, `qrouter-${randomUUID()}`))
    const before = await proxy.until('the router', ({ namespaces: [namespace] }) => {
      return namespace?.state === 'serving' && namespace.interception === 'applied'
    })

    // One program for all, each time with a connection of its own.
    const curl = ['curl', '-sg', '-m', '5', '-H', 'Connection: close', '-w', '\n%{http_code}\n']
    const urls = Array.from({ length: requests }, () => url)
    const { stdout } = await runInNetns(guest, [...curl, ...urls])
    const lines = stdout.split('\n')

    t.equal(lines.filter((line) => line === '200').length, requests, 'each is answered')
    t.equal(
      lines.filter((line) => line.includes('"x-forwarded-for":"fe80::f816:3eff:fe00:20"')).length,
      requests,
      'as the address that asked, without a zone',
    )
    const after = await proxy.status()
    const pids = ({ workers }: typeof after) => workers.map(({ pid }) => pid)
    t.strictSame(pids(after), pids(before), 'by the workers of the beginning')
  })
}
