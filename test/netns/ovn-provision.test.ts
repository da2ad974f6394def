import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { requestAdmin } from '../../lib/http/admin-client.ts'
import { namespaceKeyOf } from '../../proxy/netns/namespace-handle.ts'
import { capabilitiesOfUnit } from '../support/capabilities-of-unit.ts'
import {
  ipBatch,
  makeEmptyNamespaces,
  runProgram,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import {
  addOvnNetwork,
  addOvnPort,
  removeOvn,
  setMetadataCidrs,
  type OvnNetwork,
} from '../support/ovn-networks.ts'
import {
  eventually,
  hasProvisioned,
  outsideOf,
  ProvisionedHost,
  skipUnlessOvn,
} from '../support/provisioned-host.ts'
import type { RunningProxy } from '../support/running-proxy.ts'
import { TestAuthority } from '../support/test-authority.ts'

const metadataV4 = '169.254.169.254/32'
const metadataV6 = 'fe80::a9fe:a9fe/128'
/** What the MAC of the metadata port makes. */
const ownV6 = 'fe80::f816:3eff:fe00:2/64'

/** A namespace of the host's, with a name in the folder that the proxy looks at as well. */
async function nameNamespace(t: Test, host: ProvisionedHost, name: string): Promise<string> {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const path = join(host.stage.netnsFolder, name)
  writeFileSync(path, '')
  await must(['mount', '--bind', `/run/netns/${netns}`, path])
  t.teardown(async () => runProgram(['umount', '-l', path]))
  return netns
}

async function must(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  return stdout
}

async function hasLink(name: string): Promise<boolean> {
  return (await runProgram(['ip', 'link', 'show', name])).code === 0
}

function addressesAre(
  host: ProvisionedHost,
  network: OvnNetwork,
  wanted: readonly string[],
): Promise<unknown> {
  return eventually(
    wanted.join(' '),
    async () => (await host.inside(network))?.addresses ?? [],
    (addresses) => addresses.join(' ') === wanted.join(' '),
  )
}

async function isReady(proxy: RunningProxy): Promise<boolean> {
  return (await requestAdmin(proxy.adminSocket, '/ready')).status === 200
}

/** It is when its workers have said that they reach the agent, whatever it serves by then. */
async function becomesReady(proxy: RunningProxy): Promise<void> {
  await eventually(
    'ready',
    () => isReady(proxy),
    (ready) => ready,
  )
}

async function provisioningIs(proxy: RunningProxy, state: string): Promise<void> {
  await proxy.until(`OVN provisioning is ${state}`, ({ health }) =>
    health.parts.some((part) => part.name === 'ovn provisioning' && part.state === state),
  )
}

/** A network with one guest of this host. */
async function boundNetwork(
  host: ProvisionedHost,
  addresses: readonly string[] = ['10.0.0.10'],
): Promise<{ network: OvnNetwork; port: Awaited<ReturnType<typeof addOvnPort>> }> {
  const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24'], mtu: 1442 })
  host.clean([network])
  const port = await addOvnPort(host.central, network, addresses)
  await host.bind(port)
  return { network, port }
}

function inode(path: string): number {
  return statSync(path).ino
}

if (skipUnlessPrivileged(t) && skipUnlessOvn(t)) {
  t.test('namespaces, cables and addresses follow the ports that are bound here', async (t) => {
    const host = await ProvisionedHost.open(t)
    const { central } = host
    const proxy = await host.startProxy('poll_interval=1s')
    const cidrs = ['10.0.0.2/24', '10.1.0.2/24', 'fd00::2/64']
    const network = await addOvnNetwork(central, { cidrs, mtu: 1442 })
    host.clean([network])
    const elsewhere = await addOvnPort(central, network, ['10.0.0.9'], 'fa:16:3e:00:00:09')
    await central.sbctl('chassis-add', 'another', 'geneve', '127.0.0.2')
    await central.sbctl('lsp-bind', elsewhere.id, 'another')
    const silent = await addOvnPort(central, network, [], 'fa:16:3e:00:00:08')
    await host.bind(silent)
    const first = await addOvnPort(central, network, ['10.0.0.10'])
    await host.bind(first)

    await proxy.until('one network', hasProvisioned(1))
    t.strictSame(await host.inside(network), {
      mac: network.metadataMac,
      mtu: 1442,
      isUp: true,
      addresses: ['10.0.0.2/24', metadataV4],
    })
    t.match(await must(['ip', '-json', 'link', 'show', outsideOf(network)]), '"mtu":1442')
    t.equal(
      await eventually(
        'plugged',
        () => host.plugged(network),
        (port) => port !== undefined,
      ),
      `"${network.metadataPort}"`,
    )
    await becomesReady(proxy)

    const second = await addOvnPort(
      central,
      network,
      ['10.1.0.10', 'fd00::10'],
      'fa:16:3e:00:00:11',
    )
    await host.bind(second)
    await addressesAre(host, network, ['10.0.0.2/24', '10.1.0.2/24', metadataV4, metadataV6, ownV6])
    await proxy.until('IPv6 is served', ({ namespaces }) => namespaces[0]?.listeners.length === 2)

    await host.run(network, [
      'ip',
      'addr',
      'add',
      '10.9.9.9/24',
      'dev',
      `${outsideOf(network).slice(0, -1)}1`,
    ])
    await addressesAre(host, network, ['10.0.0.2/24', '10.1.0.2/24', metadataV4, metadataV6, ownV6])
    t.pass('what somebody else gave is taken away')

    await host.unbind(second)
    await addressesAre(host, network, ['10.0.0.2/24', metadataV4])
    await setMetadataCidrs(central, network, ['10.0.0.3/24'])
    await addressesAre(host, network, ['10.0.0.3/24', metadataV4])
    await setMetadataCidrs(central, network, [])
    await addressesAre(host, network, [metadataV4])
    await setMetadataCidrs(central, network, ['10.0.0.2/24'])
    await addressesAre(host, network, ['10.0.0.2/24', metadataV4])

    await removeOvn(central, { ports: [first] })
    await proxy.until('nothing is served', ({ namespaces }) => namespaces.length === 0)
    t.equal(existsSync(host.path(network)), false)
    t.equal(await hasLink(outsideOf(network)), false)
    await eventually(
      'unplugged',
      () => host.plugged(network),
      (port) => port === undefined,
    )
    t.match(await proxy.metrics(), /overlapd_proxy_ovn_networks\{state="done"\} 0/)
    t.match(await proxy.metrics(), /overlapd_proxy_ovn_connected_databases\{database="switch"\} 1/)
  })

  t.test(
    'nothing is taken away before everything is known, and then nothing foreign',
    async (t) => {
      const host = await ProvisionedHost.open(t)
      const stale = { id: randomUUID() }
      const shared = { id: randomUUID() }
      await nameNamespace(t, host, 'qrouter-foreign')
      await nameNamespace(t, host, 'ovnmeta-not-a-network')
      const staleNetns = await nameNamespace(t, host, `ovnmeta-${stale.id}`)
      const sharedNetns = await nameNamespace(t, host, `ovnmeta-${shared.id}`)
      host.clean([stale, shared])
      for (const [network, netns] of [
        [stale, staleNetns],
        [shared, sharedNetns],
      ] as const) {
        const outside = outsideOf(network)
        const inside = `${outside.slice(0, -1)}1`
        ipBatch([`link add name ${outside} type veth peer name ${inside} netns ${netns}`])
        await host.switch.vsctl('add-port', host.switch.bridge, outside)
      }
      ipBatch(['link add foreign0 type bridge'], sharedNetns)
      const instance = { id: `${randomUUID().slice(0, 10)}${randomUUID().slice(10)}` }
      await host.switch.vsctl(
        ...['add-port', host.switch.bridge, outsideOf(instance), '--', 'set', 'Interface'],
        ...[outsideOf(instance), `external_ids:vm-uuid=${randomUUID()}`],
      )
      await host.central.stop('sb')

      const proxy = await host.startProxy('poll_interval=1s')
      await proxy.until(
        'the switch is read',
        ({ ovnProvision }) => ovnProvision?.isLocalLive === true,
      )
      t.equal(await isReady(proxy), false)
      t.equal(existsSync(host.path(stale)), true)
      t.equal(await hasLink(outsideOf(stale)), true)

      await host.central.startDatabase('sb')
      await eventually(
        'removed',
        () => existsSync(host.path(stale)),
        (isThere) => !isThere,
      )
      await provisioningIs(proxy, 'ready')
      t.equal(await hasLink(outsideOf(stale)), false)
      await eventually(
        'no cable',
        () => hasLink(outsideOf(shared)),
        (isThere) => !isThere,
      )
      t.equal(existsSync(host.path(shared)), true, 'somebody else has put something into it')
      for (const name of ['qrouter-foreign', 'ovnmeta-not-a-network']) {
        t.equal(existsSync(join(host.stage.netnsFolder, name)), true, name)
      }
      const ports = await eventually(
        'unplugged',
        () => host.switch.vsctl('list-ports', host.switch.bridge),
        (text) => text === outsideOf(instance),
      )
      t.equal(ports, outsideOf(instance), "an instance's own port stays")
    },
  )

  t.test('what the agent of Neutron has made is adopted as it is', async (t) => {
    const host = await ProvisionedHost.open(t)
    const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24'], mtu: 1442 })
    const netns = await nameNamespace(t, host, `ovnmeta-${network.id}`)
    host.clean([network])
    const outside = outsideOf(network)
    const inside = `${outside.slice(0, -1)}1`
    ipBatch([
      `link add name ${outside} type veth peer name ${inside} netns ${netns}`,
      `link set ${outside} mtu 1442 up`,
    ])
    ipBatch(
      [
        `link set ${inside} address ${network.metadataMac} mtu 1442 up`,
        `addr flush dev ${inside} scope link`,
        `addr add 10.0.0.2/24 dev ${inside}`,
        `addr add 169.254.169.254/32 dev ${inside}`,
        `addr add 10.7.0.2/24 dev ${inside}`,
      ],
      netns,
    )
    await host.switch.vsctl('add-br', 'another', '--', 'add-port', 'another', outside)
    const before = await must(['ip', '-json', 'link', 'show', outside])
    const key = inode(host.path(network))
    const port = await addOvnPort(host.central, network, ['10.0.0.10'])
    await host.bind(port)

    const proxy = await host.startProxy()
    await proxy.until('one network', hasProvisioned(1))
    t.strictSame((await host.inside(network))?.addresses, ['10.0.0.2/24', metadataV4])
    t.equal(inode(host.path(network)), key, 'the same namespace')
    t.equal(indexIn(await must(['ip', '-json', 'link', 'show', outside])), indexIn(before))
    await eventually(
      'plugged',
      () => host.plugged(network),
      (found) => found === `"${network.metadataPort}"`,
    )
    t.equal(await host.switch.vsctl('list-ports', 'another'), '', 'moved to the integration bridge')
  })

  t.test('the target of a live migration is ready before the instance is there', async (t) => {
    const host = await ProvisionedHost.open(t)
    const { central } = host
    const proxy = await host.startProxy()
    const network = await addOvnNetwork(central, { cidrs: ['10.0.0.2/24'] })
    const other = await addOvnNetwork(central, { cidrs: ['10.0.0.2/24'] })
    host.clean([network, other])
    const port = await addOvnPort(central, network, ['10.0.0.10'])
    const otherPort = await addOvnPort(central, other, ['10.0.0.10'])
    await central.sbctl('chassis-add', 'source', 'geneve', '127.0.0.2')
    await central.sbctl('lsp-bind', port.id, 'source')
    await central.sbctl('lsp-bind', otherPort.id, 'source')
    await central.sbctl('chassis-add', 'target', 'geneve', '127.0.0.3')
    const rowOf = (name: string): Promise<string> =>
      central.sbctl('--bare', '--columns=_uuid', 'find', 'Chassis', `name=${name}`)
    const own = await rowOf(host.chassis)
    const bindings = (id: string): Promise<string> =>
      central.sbctl('--bare', '--columns=_uuid', 'find', 'Port_Binding', `logical_port=${id}`)
    const binding = await bindings(port.id)

    await central.sbctl(
      'set',
      'Port_Binding',
      await bindings(otherPort.id),
      `additional_chassis=${await rowOf('target')}`,
    )
    await central.sbctl('set', 'Port_Binding', binding, `additional_chassis=${own}`)
    await proxy.until('the target', hasProvisioned(1))
    t.equal(existsSync(host.path(network)), true)
    t.equal(existsSync(host.path(other)), false, 'another host is not our business')
    const key = inode(host.path(network))

    await central.sbctl(
      ...['set', 'Port_Binding', binding, `chassis=${own}`],
      ...['--', 'clear', 'Port_Binding', binding, 'additional_chassis'],
    )
    await central.sbctl('set', 'Port_Binding', binding, 'external_ids:unrelated=1')
    await central.sbctl(
      'set',
      'Port_Binding',
      await bindings(otherPort.id),
      `additional_chassis=${own}`,
    )
    await proxy.until('the other one too', hasProvisioned(2))
    t.equal(inode(host.path(network)), key, 'it has arrived, and nothing was made anew')
    t.equal(proxy.log().includes('Metadata namespace is removed'), false)

    await central.sbctl('clear', 'Port_Binding', await bindings(otherPort.id), 'additional_chassis')
    await proxy.until('given up', hasProvisioned(1))
    t.equal(existsSync(host.path(other)), false, 'a migration that was cancelled')
  })

  t.test('databases, rows and planners that go away take nothing with them', async (t) => {
    const host = await ProvisionedHost.open(t)
    const { central } = host
    const proxy = await host.startProxy('poll_interval=1s')
    const { network, port } = await boundNetwork(host)
    await proxy.until('one network', hasProvisioned(1))
    await eventually(
      'plugged',
      () => host.plugged(network),
      (found) => found !== undefined,
    )
    const key = inode(host.path(network))
    const isAsBefore = (): boolean => inode(host.path(network)) === key

    await central.stop('sb')
    await proxy.until('no OVN', ({ ovnProvision }) => ovnProvision?.isSouthboundLive === false)
    t.equal(isAsBefore(), true)
    t.equal(await isReady(proxy), true, 'guests are served all the same')
    await central.startDatabase('sb')
    await proxy.until('OVN again', hasProvisioned(1))
    t.equal(isAsBefore(), true)

    await host.switch.stopDatabase()
    await proxy.until('no switch', ({ ovnProvision }) => ovnProvision?.isLocalLive === false)
    await host.switch.startDatabase()
    await proxy.until('a switch', ({ ovnProvision }) => ovnProvision?.isLocalLive === true)
    t.equal(isAsBefore(), true)

    await central.sbctl('lsp-unbind', port.id, '--', 'chassis-del', host.chassis)
    await proxy.until('no chassis', ({ ovnProvision }) =>
      (ovnProvision?.trouble ?? '').includes('OVN has no chassis'),
    )
    t.equal(isAsBefore(), true, 'ovn-controller has ended')
    await central.sbctl(
      'chassis-add',
      host.chassis,
      'geneve',
      '127.0.0.1',
      '--',
      'lsp-bind',
      port.id,
      host.chassis,
    )
    await proxy.until(
      'a chassis',
      ({ ovnProvision }) =>
        ovnProvision?.isSouthboundLive === true && ovnProvision.trouble === undefined,
    )
    t.equal(isAsBefore(), true)

    const planner = (await proxy.status()).ovnProvision?.planner.pid
    process.kill(Number(planner), 'SIGKILL')
    const after = await proxy.until(
      'another planner',
      ({ ovnProvision }) =>
        ovnProvision?.isSouthboundLive === true &&
        ![undefined, planner].includes(ovnProvision.planner.pid),
    )
    t.not(after.ovnProvision?.planner.pid, undefined)
    t.equal(isAsBefore(), true)
    t.equal(await host.plugged(network), `"${network.metadataPort}"`)
    t.match(await proxy.metrics(), /overlapd_proxy_ovn_planner_restarts_total 1/)

    await proxy.stop()
    t.equal(isAsBefore(), true, 'a proxy that stops leaves everything')
    const next = await host.startProxy()
    await next.until('one network', hasProvisioned(1))
    t.equal(isAsBefore(), true)
    t.equal(next.log().includes('Metadata namespace is provisioned'), false, 'nothing was to do')

    await central.stop('sb')
    await next.until('no OVN', ({ ovnProvision }) => ovnProvision?.isSouthboundLive === false)
    await central.startDatabase('sb')
    await host.unbind(port)
    await next.until('nothing', hasProvisioned(0))
    await next.until('no namespace', () => !existsSync(host.path(network)))
  })

  t.test('what others break is repaired', async (t) => {
    const host = await ProvisionedHost.open(t)
    const proxy = await host.startProxy('poll_interval=1s')
    const broken = { id: randomUUID() }
    writeFileSync(host.path(broken), '')
    const { network } = await boundNetwork(host)
    await proxy.until('one network', hasProvisioned(1))
    await eventually(
      'plugged',
      () => host.plugged(network),
      (found) => found !== undefined,
    )
    const wanted = ['10.0.0.2/24', metadataV4]

    await host.switch.vsctl('del-port', outsideOf(network))
    await eventually(
      'plugged again',
      () => host.plugged(network),
      (found) => found !== undefined,
    )

    await must(['ip', 'link', 'delete', outsideOf(network)])
    await eventually(
      'a cable again',
      () => hasLink(outsideOf(network)),
      (isThere) => isThere,
    )
    await addressesAre(host, network, wanted)

    await must(['ip', 'link', 'set', outsideOf(network), 'mtu', '1500', 'down'])
    await eventually(
      'up again',
      () => must(['ip', '-json', 'link', 'show', outsideOf(network)]),
      (text) => text.includes('"mtu":1442') && text.includes('"UP"'),
    )

    await must(['umount', '-l', host.path(network)])
    await must(['rm', host.path(network)])
    // Its inode may well be that of before: the kernel gives it again as soon as nothing holds the first namespace.
    await eventually(
      'a namespace again',
      () => existsSync(host.path(network)) && namespaceKeyOf(host.path(network)),
      (key) => key !== false && key !== undefined,
    )
    await addressesAre(host, network, wanted)
    await proxy.until('served again', hasProvisioned(1))

    await eventually(
      'no broken name',
      () => existsSync(host.path(broken)),
      (isThere) => !isThere,
    )
    t.strictSame((await host.inside(network))?.addresses, wanted)
    t.equal(await host.plugged(network), `"${network.metadataPort}"`)
  })

  t.test('a taken name is reported, and left to whoever has it', async (t) => {
    const host = await ProvisionedHost.open(t)
    const proxy = await host.startProxy()
    const network = await addOvnNetwork(host.central, { cidrs: ['10.0.0.2/24'] })
    host.clean([network])
    ipBatch([`link add name ${outsideOf(network)} type bridge`])
    const port = await addOvnPort(host.central, network, ['10.0.0.10'])
    await host.bind(port)
    const status = await proxy.until(
      'a failure',
      ({ ovnProvision }) => ovnProvision?.networks.failed === 1,
    )
    t.match(status.ovnProvision?.troubles, [
      { netns: `ovnmeta-${network.id}`, why: `"${outsideOf(network)}" is bridge, not a veth` },
    ])
    t.match(await proxy.metrics(), /overlapd_proxy_ovn_provision_failures_total [1-9]/)
    t.equal(await hasLink(outsideOf(network)), true)
    await provisioningIs(proxy, 'not_ready')
    t.equal(await isReady(proxy), false, 'no network of this host is served')
    await must(['ip', 'link', 'delete', outsideOf(network)])
    await proxy.until('recovered', hasProvisioned(1))
  })

  t.test(
    'where names would not reach the host, nothing is made and the reason is reported',
    async (t) => {
      const host = await ProvisionedHost.open(t)
      const { network } = await boundNetwork(host)
      const by = ['unshare', '--mount', '--propagation', 'slave', 'env', '-i']
      await must([
        'mount',
        '--bind',
        '--make-shared',
        host.stage.netnsFolder,
        host.stage.netnsFolder,
      ])
      const proxy = await host.startProxyBy(by)
      const { ovnProvision } = await proxy.until(
        'the reason',
        (status) => status.ovnProvision?.trouble !== undefined,
      )
      t.match(ovnProvision?.trouble, /do not reach the host.*deploy\/systemd/)
      t.match(proxy.log(), /Metadata namespaces are not provisioned/)
      t.equal(await isReady(proxy), false)
      t.equal(existsSync(host.path(network)), false)
    },
  )

  t.test('the capabilities that the proxy has anyway are enough', async (t) => {
    const capabilities = capabilitiesOfUnit()
    const host = await ProvisionedHost.open(t)
    const { network, port } = await boundNetwork(host, ['10.0.0.10', 'fd00::10'])
    const set = ['-all', ...capabilities.map((name) => `+${name}`)].join(',')
    const proxy = await host.startProxyBy(['setpriv', '--bounding-set', set, 'env', '-i'])
    await proxy.until('one network', hasProvisioned(1))
    await addressesAre(host, network, ['10.0.0.2/24', metadataV4, metadataV6, ownV6])
    await eventually(
      'plugged',
      () => host.plugged(network),
      (found) => found !== undefined,
    )
    await host.unbind(port)
    await proxy.until('none', hasProvisioned(0))
    t.equal(existsSync(host.path(network)), false)
    t.notMatch(proxy.log(), /"level":"(warn|error)"/)
  })

  t.test('the planner uses certificates that it could not read by itself', async (t) => {
    const host = await ProvisionedHost.open(t)
    const { network } = await boundNetwork(host)
    const folder = mkdtempSync(join(tmpdir(), 'ovt-tls-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const authority = new TestAuthority(folder)
    const server = authority.issue({ commonName: 'ovn', usage: 'serverAuth' })
    const client = authority.issue({ commonName: host.chassis, usage: 'clientAuth' })
    chmodSync(client.keyFile, 0o600)
    const clients: string[] = []
    const relay = createTlsServer(
      {
        cert: readFileSync(server.certificateFile),
        key: readFileSync(server.keyFile),
        ca: readFileSync(authority.caFile),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (socket) => {
        clients.push(String(socket.getPeerCertificate().subject.CN))
        const inner = connect(host.central.southbound.slice('unix:'.length))
        pipeline(socket, inner, socket, () => undefined)
      },
    )
    relay.listen(0, '127.0.0.1')
    await once(relay, 'listening')
    t.teardown(() => relay.close())
    const { port: tcpPort } = relay.address() as AddressInfo
    const proxy = await host.startProxy(
      `ovn_provision.ovn_sb_connection=["ssl:127.0.0.1:${tcpPort}"]`,
      `ovn_provision.ovn_sb_private_key=${client.keyFile}`,
      `ovn_provision.ovn_sb_certificate=${client.certificateFile}`,
      `ovn_provision.ovn_sb_ca_cert=${authority.caFile}`,
    )
    const { ovnProvision } = await proxy.until('one network', hasProvisioned(1))
    t.equal(ovnProvision?.southbound, `connected to ssl:127.0.0.1:${tcpPort}`)
    t.ok(existsSync(host.path(network)))
    t.strictSame([...new Set(clients)], [host.chassis])
  })

  t.test('the planner has no privilege, and the proxy no thread elsewhere', async (t) => {
    const host = await ProvisionedHost.open(t)
    const proxy = await host.startProxy()
    await boundNetwork(host)
    const { ovnProvision } = await proxy.until('one network', hasProvisioned(1))
    const status = await must(['cat', `/proc/${ovnProvision?.planner.pid}/status`])
    for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
      t.match(status, new RegExp(`^${name}:\\s+0+$`, 'm'))
    }
    t.match(status, /^NoNewPrivs:\s+1$/m)
    t.match(status, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m)
    // The main thread may be on a visit just now; every other one lives where it was born.
    const others = threadsElsewhere(proxy.pid).filter((thread) => thread !== proxy.pid)
    t.same(others, [])
    await eventually(
      'the main thread at home',
      () => threadsElsewhere(proxy.pid),
      (threads) => threads.length === 0,
    )
  })
}

/** Threads of a process that are in another network namespace than this one, by number. */
function threadsElsewhere(pid: number): number[] {
  const home = readlinkSync('/proc/self/ns/net')
  const threads = readdirSync(`/proc/${pid}/task`).map(Number)
  return threads.filter((thread) => readlinkSync(`/proc/${pid}/task/${thread}/ns/net`) !== home)
}

function indexIn(json: string): number | undefined {
  return (JSON.parse(json) as readonly { readonly ifindex: number }[])[0]?.ifindex
}
