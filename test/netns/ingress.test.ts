import { randomUUID } from 'node:crypto'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { layCables, type LinksMade } from '../support/made-links.ts'
import {
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { startProxy } from '../support/running-proxy.ts'
import { setKernel } from '../support/segment.ts'

/** What a router has towards three networks, and what is told of each. */
const devices = [
  ['qr-0a1b2c3d-4e', '0a1b2c3d-4e'],
  ['qr-5f607182-93', '5f607182-93'],
  ['eth9', 'other'],
] as const
const overIpv4 = 'http://169.254.169.254/'
const overIpv6 = 'http://[fe80::a9fe:a9fe%25eth0]/'

/** Makes a router with a guest behind each device. @returns namespaces */
function makeRouter(t: Parameters<typeof makeEmptyNamespaces>[0], made: LinksMade) {
  const router = uniqueName()
  const guests = devices.map(() => uniqueName())
  makeEmptyNamespaces(t, [router, ...guests])
  layCables(
    devices.map(([device], index) => [
      { netns: router, device },
      { netns: guests[index] ?? '', device: 'eth0' },
    ]),
    made,
  )
  for (const [index, [device]] of devices.entries()) {
    const configure = (netns: string, name: string, host: number): void =>
      ipBatch(
        [
          'link set lo up',
          `link set ${name} addrgenmode none up`,
          `addr add 10.0.${index}.${host}/24 dev ${name}`,
          `addr add fd00:${index}::${host}/64 dev ${name} nodad`,
          `addr add fe80::${host}/64 dev ${name} nodad`,
        ],
        netns,
      )
    const guest = guests[index] ?? ''
    configure(router, device, 1)
    configure(guest, 'eth0', 10)
    ipBatch(
      [
        `route add default via 10.0.${index}.1`,
        'route add fe80::a9fe:a9fe/128 via fe80::1 dev eth0',
      ],
      guest,
    )
  }
  return { router, guests }
}

async function toldOf(guest: string, url: string, ...options: string[]): Promise<unknown> {
  const curl = ['curl', '-sgS', '-m', '10', ...options, url]
  const { stdout, stderr } = await runInNetns(guest, curl)
  if (!stdout.startsWith('{')) return `${stdout}${stderr}`
  const told = JSON.parse(stdout) as Record<string, string>
  return `${told['x-forwarded-for']} ${told['x-overlapd-ingress-port']}`
}

if (skipUnlessPrivileged(t)) {
  t.test('the agent receives by which port of the router each connection came', async (t) => {
    for (const made of ['host', 'inside'] as const) {
      await t.test(`with links made ${made === 'host' ? 'on the host' : 'inside'}`, async (t) => {
        const { router, guests } = makeRouter(t, made)
        const proxy = await startProxy(t)
        symlinkSync(`/run/netns/${router}`, join(proxy.netnsFolder, `qrouter-${randomUUID()}`))
        await proxy.until('the router', ({ namespaces: [namespace] }) => {
          return namespace?.state === 'serving' && namespace.interception === 'applied'
        })
        for (const cookies of [1, 2]) {
          setKernel(router, [`net.ipv4.tcp_syncookies=${cookies}`])
          for (const [index, [device, port]] of devices.entries()) {
            const guest = guests[index] ?? ''
            const what = `${device}, cookies ${cookies}`
            t.equal(await toldOf(guest, overIpv4), `10.0.${index}.10 ${port}`, what)
            t.equal(await toldOf(guest, overIpv6), `fe80::10 ${port}`, `${what}, link-local`)
            t.equal(
              await toldOf(guest, overIpv6, '--interface', `fd00:${index}::10`),
              `${index === 0 ? 'fd00::' : `fd00:${index}::`}10 ${port}`,
              `${what}, IPv6`,
            )
          }
        }
      })
    }
  })
}
