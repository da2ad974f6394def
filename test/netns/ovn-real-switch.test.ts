import t, { type Test } from 'tap'
import {
  fetchFrom,
  makeEmptyNamespaces,
  runInNetns,
  runProgram,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import {
  addOvnNetwork,
  addOvnPort,
  type OvnNetwork,
  type OvnPort,
} from '../support/ovn-networks.ts'
import {
  eventually,
  hasProvisioned,
  makeGuestLink,
  outsideOf,
  ProvisionedHost,
  skipUnlessOvn,
} from '../support/provisioned-host.ts'
import type { Ran } from '../support/netns.ts'

const metadataV4 = '169.254.169.254'
const metadataV6 = 'fe80::a9fe:a9fe'

/** A virtual machine: its own namespace, and a cable that it plugs into the integration bridge as Nova does. */
async function plugGuest(
  t: Test,
  host: ProvisionedHost,
  port: OvnPort,
  addresses: readonly string[],
  via: string,
): Promise<string> {
  const guest = uniqueName('ovt-vm-')
  makeEmptyNamespaces(t, [guest])
  const outside = uniqueName('ovt')
  t.teardown(async () => runProgram(['ip', 'link', 'delete', outside]))
  makeGuestLink(guest, outside, port.mac, addresses, [`${metadataV4}/32 via ${via}`])
  await fillChecksums(guest)
  await host.switch.vsctl(
    ...['add-port', host.switch.bridge, outside, '--', 'set', 'Interface', outside],
    `external_ids:iface-id=${port.id}`,
  )
  return guest
}

/** A virtual machine's driver would; what leaves a veth for a switch in user space is incomplete otherwise. */
async function fillChecksums(guest: string): Promise<void> {
  const script = `
import array, fcntl, socket, struct
value = array.array("B", struct.pack("II", 0x17, 0))
request = struct.pack("16sP", b"eth0", value.buffer_info()[0])
fcntl.ioctl(socket.socket(), 0x8946, request)`
  const { code, stderr } = await runInNetns(guest, ['python3', '-c', script])
  if (code !== 0) throw new Error(stderr)
}

function headersIn({ stdout, stderr }: Ran): Record<string, string> {
  const at = stdout.indexOf('{')
  if (at === -1) throw new Error(`No answer: ${stdout}${stderr}`)
  return JSON.parse(stdout.slice(at, stdout.lastIndexOf('}') + 1)) as Record<string, string>
}

/** What the agent is told about two networks with the same addresses. */
async function asksFrom(
  t: Test,
  guests: readonly { readonly netns: string; readonly network: OvnNetwork }[],
): Promise<void> {
  for (const { netns, network } of guests) {
    t.match(headersIn(await fetchFrom(netns, '/openstack')), {
      'x-ovn-network-id': network.id,
      'x-forwarded-for': '10.0.0.10',
      'x-overlapd-source-mac': 'fa:16:3e:00:00:10',
    })
    t.match(headersIn(await fetchFrom(netns, '/openstack', `${metadataV6}%eth0`)), {
      'x-ovn-network-id': network.id,
      'x-overlapd-source-mac': 'fa:16:3e:00:00:10',
    })
  }
}

if (skipUnlessPrivileged(t) && skipUnlessOvn(t)) {
  t.test('a guest reaches the metadata address through a real Open vSwitch', async (t) => {
    const host = await ProvisionedHost.open(t, { hasSwitch: true })
    await host.switch.switchNormally()
    const proxy = await host.startProxy()
    const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24', 'fd00::2/64'] })
    host.clean([network])
    const port = await addOvnPort(host.central, network, ['10.0.0.10', 'fd00::10'])
    await host.bind(port)
    const netns = await plugGuest(t, host, port, ['10.0.0.10/24', 'fe80::10/64'], '10.0.0.2')
    await proxy.until('one network', hasProvisioned(1))
    await proxy.until('IPv6', ({ namespaces }) => namespaces[0]?.listeners.length === 2)
    await asksFrom(t, [{ netns, network }])
  })

  t.test('a guest that takes the IPv6 metadata address delays IPv4 of no guest', async (t) => {
    const host = await ProvisionedHost.open(t, { hasSwitch: true })
    await host.switch.switchNormally()
    const proxy = await host.startProxy('poll_interval=1s')
    const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24', 'fd00::2/64'] })
    host.clean([network])
    const port = await addOvnPort(host.central, network, ['10.0.0.10', 'fd00::10'])
    await host.bind(port)
    const netns = await plugGuest(t, host, port, ['10.0.0.10/24', 'fe80::10/64'], '10.0.0.2')
    await proxy.until('one network', hasProvisioned(1))
    await eventually(
      'plugged',
      () => host.plugged(network),
      (found) => found !== undefined,
    )
    const thiefPort = await addOvnPort(host.central, network, ['10.0.0.66'], 'fa:16:3e:00:00:66')
    const thief = await plugGuest(
      t,
      host,
      thiefPort,
      ['10.0.0.66/24', `${metadataV6}/64`],
      '10.0.0.2',
    )

    const inside = `${outsideOf(network).slice(0, -1)}1`
    await host.run(network, ['ip', 'addr', 'del', `${metadataV6}/128`, 'dev', inside])
    await proxy.until('a duplicate', ({ ovnProvision }) =>
      (ovnProvision?.troubles[0]?.why ?? '').includes(`${metadataV6}: another machine`),
    )
    t.match(headersIn(await fetchFrom(netns, '/openstack')), { 'x-ovn-network-id': network.id })
    t.match((await proxy.status()).ovnProvision?.networks, { done: 1, failed: 0 })

    await runInNetns(thief, ['ip', 'link', 'set', 'eth0', 'down'])
    await proxy.until('recovered', ({ ovnProvision }) => ovnProvision?.troubles.length === 0)
    await proxy.until('IPv6', ({ namespaces }) => namespaces[0]?.listeners.length === 2)
    await asksFrom(t, [{ netns, network }])
  })

  t.test(
    'ovn-controller, ovn-northd and overlapd make networks whose guests are distinguished',
    async (t) => {
      const host = await ProvisionedHost.open(t, { hasSwitch: true, hasController: true })
      const proxy = await host.startProxy()
      const guests: { netns: string; network: OvnNetwork }[] = []
      for (let count = 0; count < 2; count += 1) {
        const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24', 'fd00::2/64'] })
        host.clean([network])
        const port = await addOvnPort(host.central, network, ['10.0.0.10', 'fe80::10'])
        const netns = await plugGuest(t, host, port, ['10.0.0.10/24', 'fe80::10/64'], '10.0.0.2')
        guests.push({ netns, network })
      }
      await proxy.until('two networks', hasProvisioned(2))
      await proxy.until('IPv6', ({ namespaces }) =>
        namespaces.every(({ listeners }) => listeners.length === 2),
      )
      await host.central.nbctl(['--wait=hv', 'sync'])
      await asksFrom(t, guests)
    },
  )
}
