import type { Test } from 'tap'
import type { PortDirectoryDriver, DirectoryUnderTest } from './port-directory-driver.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { macFromEui64, parseIpAddress } from '../../lib/identity/ip-address.ts'
import {
  routerInterfaceOwners,
  type DirectoryChange,
  type PortQuery,
} from '../../agent-side/ports/directory/port-directory.ts'
import {
  guest,
  guests,
  networks,
  orphan,
  overlappingTopology,
  routers,
  sharedAddress,
} from './overlapping-topology.ts'
import {
  cannotAnswer,
  find,
  heard,
  identities,
  interfacesOf,
  networksOf,
  touchesNetwork,
  touchesRouter,
  withPort,
  withoutPort,
} from './port-questions.ts'
import { ip, mac, type Topology, type TopologyPort } from './topology.ts'

/**
 * What every port directory promises the resolver, asked of one kind of directory. Call it from the directory's
 * own test: `portDirectoryConformance(t, driver)`.
 */
export function portDirectoryConformance(t: Test, driver: PortDirectoryDriver): void {
  const { name } = driver

  async function opened(t: Test, topology = overlappingTopology()): Promise<DirectoryUnderTest> {
    const subject = await driver.open(topology)
    t.teardown(async () => {
      await subject.directory.close()
      await subject.close()
    })
    await subject.directory.start()
    await subject.settled()
    return subject
  }

  /** Changes the source and returns when the directory has to know of it without being asked afresh. */
  async function change(
    subject: DirectoryUnderTest,
    topology: Topology,
    covers: (change: DirectoryChange) => boolean,
  ): Promise<void> {
    if (!driver.pushes) {
      await subject.setTopology(topology)
      return
    }
    const told = heard(subject.directory, covers)
    await subject.setTopology(topology)
    await told
  }

  t.test(`${name} is ready once it has seen its source, and reports its state`, async (t) => {
    const { directory } = await opened(t)
    const readiness = directory.readiness()
    t.equal(readiness.ready, true, readiness.detail)
    t.not(readiness.detail, '')
  })

  if (driver.routers) {
    t.test(
      `${name} names each network of a router once, for every kind of interface`,
      async (t) => {
        const { directory } = await opened(t)
        t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
        t.strictSame(await networksOf(directory, routers.distributed), [networks.distributed])
        t.strictSame(await networksOf(directory, routers.highlyAvailable), [
          networks.highlyAvailable,
        ])
        t.strictSame(await networksOf(directory, routers.twins), [
          networks.twinOne,
          networks.twinTwo,
        ])
      },
    )
  }

  if (driver.routers) {
    t.test(`${name} names the router's port of each interface`, async (t) => {
      const { directory } = await opened(t)
      for (const { routerId, ports } of overlappingTopology().routers) {
        const interfaces = ports
          .filter(({ deviceOwner }) => routerInterfaceOwners.has(deviceOwner))
          .map(({ networkId, portId }) => ({ networkId, portId }))
        for (const freshness of ['cached', 'fresh'] as const) {
          t.strictSame(await interfacesOf(directory, routerId, freshness), interfaces, routerId)
        }
      }
    })
  }

  t.test(`${name} gives no network for a router without interface or unknown`, async (t) => {
    const { directory } = await opened(t)
    t.strictSame(await networksOf(directory, routers.withoutInterface), [])
    t.strictSame(await networksOf(directory, routers.unknown), [])
  })

  t.test(`${name} keeps the same fixed IP of different networks apart`, async (t) => {
    const { directory } = await opened(t)
    const fixedIp = ip('10.0.0.10')
    for (const which of ['plain', 'distributed', 'highlyAvailable', 'isolated'] as const) {
      for (const freshness of ['cached', 'fresh'] as const) {
        const found = await find(directory, { networkIds: [networks[which]], fixedIp }, freshness)
        t.strictSame(identities(found), identities([guests[which]]), `${which}, ${freshness}`)
      }
    }
  })

  t.test(`${name} gives both ports when two queried networks have the subnet`, async (t) => {
    const { directory } = await opened(t)
    const networkIds = [networks.twinOne, networks.twinTwo]
    const found = await find(directory, { networkIds, fixedIp: ip('10.0.0.10') })
    t.strictSame(identities(found), identities([guests.twinOne, guests.twinTwo]))
    const byMac = await find(directory, { networkIds, macAddress: guests.twinTwo.macAddress })
    t.strictSame(identities(byMac), identities([guests.twinTwo]))
  })

  t.test(`${name} gives both ports that have one address on one network`, async (t) => {
    const { directory } = await opened(t)
    const found = await find(directory, { networkIds: [networks.plain], fixedIp: sharedAddress })
    t.strictSame(identities(found), identities([guests.sharingOne, guests.sharingTwo]))
  })

  t.test(`${name} finds a port by any of its addresses, IPv6 too`, async (t) => {
    const { directory } = await opened(t)
    const networkIds = [networks.plain]
    for (const fixedIp of guests.twoAddresses.fixedIps) {
      const found = await find(directory, { networkIds, fixedIp })
      t.strictSame(identities(found), identities([guests.twoAddresses]), fixedIp)
    }
  })

  t.test(`${name} finds a port by MAC, also one without address`, async (t) => {
    const { directory } = await opened(t)
    const networkIds = [networks.plain]
    for (const which of ['plain', 'withoutAddress'] as const) {
      const found = await find(directory, { networkIds, macAddress: guests[which].macAddress })
      t.strictSame(identities(found), identities([guests[which]]), which)
    }
    const elsewhere = { networkIds, macAddress: guests.isolated.macAddress }
    t.strictSame(await find(directory, elsewhere), [], 'a MAC of another network')
  })

  t.test(`${name} gives a port that matches by fixed IP or by MAC, each once`, async (t) => {
    const { directory } = await opened(t)
    const networkIds = [networks.plain]
    const fixedIp = ip('10.0.0.10')
    const same = await find(directory, { networkIds, fixedIp, macAddress: guests.plain.macAddress })
    t.strictSame(identities(same), identities([guests.plain]))
    const other = await find(directory, {
      networkIds,
      fixedIp,
      macAddress: guests.plainNeighbour.macAddress,
    })
    t.strictSame(identities(other), identities([guests.plain, guests.plainNeighbour]))
  })

  t.test(
    `${name} finds the addresses that the edge makes of mapped and link-local ones`,
    async (t) => {
      const { directory } = await opened(t)
      const networkIds = [networks.isolated]
      const mapped = parseIpAddress('::ffff:10.0.0.10')
      const linkLocal = parseIpAddress('fe80::f816:3eff:fe00:610%tap0')
      const macAddress = linkLocal && macFromEui64(linkLocal)
      t.ok(mapped)
      t.ok(macAddress)
      if (mapped === undefined || macAddress === undefined || linkLocal === undefined) return
      t.strictSame(
        identities(await find(directory, { networkIds, fixedIp: mapped })),
        identities([guests.isolated]),
      )
      t.strictSame(
        identities(await find(directory, { networkIds, fixedIp: linkLocal, macAddress })),
        identities([guests.isolated]),
      )
      t.strictSame(await find(directory, { networkIds, fixedIp: linkLocal }), [])
    },
  )

  t.test(`${name} gives a port without instance as such`, async (t) => {
    const { directory } = await opened(t)
    const [fixedIp] = orphan.fixedIps
    const query = { networkIds: [networks.plain], ...(fixedIp && { fixedIp }) }
    const found = await find(directory, query)
    t.strictSame(identities(found), identities([orphan]))
    t.notOk(found[0]?.instanceId)
  })

  t.test(`${name} answers an empty list when nothing matches`, async (t) => {
    const { directory } = await opened(t)
    const nothing: readonly PortQuery[] = [
      { networkIds: [networks.plain], fixedIp: ip('10.0.0.99') },
      { networkIds: [networks.plain], fixedIp: ip('10.0.0.1'), macAddress: mac(0xffffff) },
      { networkIds: [networks.unknown], fixedIp: ip('10.0.0.10') },
      { networkIds: [networks.plain], macAddress: mac(0xffffff) },
      { networkIds: [networks.plain] },
    ]
    for (const query of nothing) {
      const found = await find(directory, query)
      // A router's own port may be known; it is no instance's.
      const owned = found.filter((port) => !port.deviceOwner?.startsWith('network:'))
      t.strictSame(owned, [], JSON.stringify(query))
    }
  })

  t.test(`${name} dates its answers by its clock, never in the future`, async (t) => {
    const { directory, clock } = await opened(t)
    const asked = { signal: new AbortController().signal, freshness: 'cached' } as const
    const networkIds = [networks.plain]
    const ports = await directory.findPorts({ networkIds, fixedIp: ip('10.0.0.10') }, asked)
    t.ok(Number.isFinite(ports.asOf) && ports.asOf <= clock.now(), 'ports')
    const ofRouter = await directory.interfacesOfRouter(routers.plain, asked)
    t.ok(Number.isFinite(ofRouter.asOf) && ofRouter.asOf <= clock.now(), 'networks')
  })

  t.test(`${name} forgets a deleted port`, async (t) => {
    const subject = await opened(t)
    const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.11') }
    t.strictSame((await find(subject.directory, query, 'cached')).length, 1)
    const topology = withoutPort(overlappingTopology(), guests.plainNeighbour)
    await change(subject, topology, touchesNetwork(networks.plain))
    t.strictSame(await find(subject.directory, query, driver.pushes ? 'cached' : 'fresh'), [])
    await subject.settled()
    t.strictSame(await find(subject.directory, query, 'cached'), [], 'within the bound')
  })

  t.test(`${name} gives a reused address to its new port, never to both`, async (t) => {
    const subject = await opened(t)
    const networkIds = [networks.isolated]
    const query = { networkIds, fixedIp: ip('10.0.0.10') }
    t.strictSame(
      identities(await find(subject.directory, query, 'cached')),
      identities([guests.isolated]),
    )
    const successor = guest(0x6ff, 'isolated', '10.0.0.10')
    const topology = withPort(withoutPort(overlappingTopology(), guests.isolated), successor)
    // An older event may pass by between the removal and the creation, so the new port is waited for.
    await subject.setTopology(withoutPort(overlappingTopology(), guests.isolated))
    await subject.settled()
    await change(subject, topology, touchesNetwork(networks.isolated))
    const told = driver.pushes ? 'cached' : 'fresh'
    t.strictSame(identities(await find(subject.directory, query, told)), identities([successor]))
    const old = { networkIds, macAddress: guests.isolated.macAddress }
    t.strictSame(await find(subject.directory, old, told), [], 'the old MAC is gone')
    await subject.settled()
    t.strictSame(
      identities(await find(subject.directory, query, 'cached')),
      identities([successor]),
      'within the bound',
    )
  })

  t.test(`${name} follows a port to another instance, address and MAC`, async (t) => {
    const subject = await opened(t)
    const networkIds = [networks.distributed]
    await find(subject.directory, { networkIds, fixedIp: ip('10.0.0.10') }, 'cached')
    const moved: TopologyPort = {
      ...guest(0x2ff, 'distributed', '10.0.0.12'),
      portId: guests.distributed.portId,
    }
    const topology = withPort(overlappingTopology(), moved)
    await change(subject, topology, touchesNetwork(networks.distributed))
    const told = driver.pushes ? 'cached' : 'fresh'
    const byIp = { networkIds, fixedIp: ip('10.0.0.12') }
    t.strictSame(identities(await find(subject.directory, byIp, told)), identities([moved]))
    const byMac = { networkIds, macAddress: moved.macAddress }
    t.strictSame(identities(await find(subject.directory, byMac, told)), identities([moved]))
    const byOldMac = { networkIds, macAddress: guests.distributed.macAddress }
    t.strictSame(await find(subject.directory, byOldMac, told), [])
  })

  if (driver.routers) {
    t.test(`${name} follows a router that loses and gains a network`, async (t) => {
      const subject = await opened(t)
      t.strictSame(await networksOf(subject.directory, routers.twins, 'cached'), [
        networks.twinOne,
        networks.twinTwo,
      ])
      const before = overlappingTopology()
      const topology = {
        ...before,
        routers: before.routers.map((router) =>
          router.routerId === routers.twins
            ? { ...router, ports: router.ports.filter((p) => p.networkId === networks.twinOne) }
            : router,
        ),
      }
      await change(subject, topology, touchesRouter(routers.twins))
      const told = driver.pushes ? 'cached' : 'fresh'
      t.strictSame(await networksOf(subject.directory, routers.twins, told), [networks.twinOne])
      await change(subject, before, touchesRouter(routers.twins))
      t.strictSame(await networksOf(subject.directory, routers.twins, told), [
        networks.twinOne,
        networks.twinTwo,
      ])
    })
  }

  t.test(`${name} is not ready and refuses to answer before it has seen its source`, async (t) => {
    const subject = await driver.open(overlappingTopology(), { cutOff: true })
    t.teardown(async () => {
      await subject.directory.close()
      await subject.close()
    })
    await subject.directory.start()
    const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
    const refusal = await find(subject.directory, query).catch((thrown: unknown) => thrown)
    t.type(refusal, MetadataError)
    t.ok(refusal instanceof MetadataError && cannotAnswer.has(refusal.code))
    const ofRouter = await networksOf(subject.directory, routers.plain).catch(
      (thrown: unknown) => thrown,
    )
    if (driver.routers) {
      t.ok(ofRouter instanceof MetadataError && cannotAnswer.has(ofRouter.code))
    }
    t.equal(subject.directory.readiness().ready, false)
    t.not(subject.directory.readiness().detail, '')

    await subject.restore()
    await subject.settled()
    t.strictSame(identities(await find(subject.directory, query)), identities([guests.plain]))
    t.equal(subject.directory.readiness().ready, true)
  })

  t.test(`${name} never turns "cannot query" into "none"`, async (t) => {
    const subject = await opened(t)
    const query = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
    const known = identities(await find(subject.directory, query))
    await subject.cutOff()
    for (const freshness of ['cached', 'fresh'] as const) {
      const outcome = await find(subject.directory, query, freshness).then(
        (ports) => ({ ports }),
        (thrown: unknown) => ({ thrown }),
      )
      if ('ports' in outcome) {
        t.strictSame(identities(outcome.ports), known, `${freshness}: still the copy`)
      } else {
        const { thrown } = outcome
        t.ok(thrown instanceof MetadataError && cannotAnswer.has(thrown.code), freshness)
      }
    }
    await subject.restore()
    await subject.settled()
    t.strictSame(identities(await find(subject.directory, query)), known, 'recovers by itself')
    t.equal(subject.directory.readiness().ready, true)
  })

  t.test(`${name} can be closed twice, and notifies no listener that has left`, async (t) => {
    const subject = await opened(t)
    let told = 0
    const end = subject.directory.onChange(() => {
      told += 1
    })
    end()
    await subject.setTopology(withoutPort(overlappingTopology(), guests.plain))
    await subject.settled()
    t.equal(told, 0)
    await subject.directory.close()
    await subject.directory.close()
    t.pass('closed twice')
  })

  t.test(`${name} lists all its ports where it offers to`, async (t) => {
    const { directory } = await opened(t)
    if (directory.allPorts === undefined) {
      t.pass('only questions are possible')
      return
    }
    const held = [...directory.allPorts()].filter((p) => !p.deviceOwner?.startsWith('network:'))
    const all = overlappingTopology().ports
    t.strictSame(identities(held), identities(driver.holdsAll === false ? [] : all))
  })

  t.test(`${name} lists the ports of a network where it offers to`, async (t) => {
    const { directory } = await opened(t)
    if (directory.portsOfNetwork === undefined) {
      t.ok(directory.allPorts, 'then it lists all ports')
      return
    }
    const { networks, ports } = overlappingTopology()
    for (const { networkId } of networks) {
      const asked = { freshness: 'fresh', signal: new AbortController().signal } as const
      const answer = await directory.portsOfNetwork(networkId, asked)
      const guests = answer?.ports.filter((p) => !p.deviceOwner?.startsWith('network:'))
      const expected = ports.filter((port) => port.networkId === networkId)
      t.strictSame(guests && identities(guests), identities(expected), networkId)
    }
  })
}
