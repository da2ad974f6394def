import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { demoSubnet, type DemoNetwork, type DemoTopology } from '../../deploy/demo/topology.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import type { PortRow } from '../support/fake-ports.ts'
import { BenchProcess } from './bench-process.ts'
import type { CountingReport } from './counting-neutron.ts'
import type { Teardown } from './teardown.ts'

/** A small Neutron in a process of its own that knows the ports of a benchmark and counts what it is asked. */
export class CountedNeutron {
  readonly #process: BenchProcess<CountingReport>

  private constructor(process: BenchProcess<CountingReport>) {
    this.#process = process
  }

  static async start(topology: DemoTopology, teardown: Teardown): Promise<CountedNeutron> {
    const folder = await mkdtemp(join(tmpdir(), 'overlapd-bench-'))
    try {
      const file = join(folder, 'ports.json')
      await writeFile(file, JSON.stringify(topology.networks.flatMap(portRows)))
      return new CountedNeutron(await BenchProcess.start('counting-neutron.js', { file }, teardown))
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  /** Where it listens, without authentication. */
  get url(): string {
    return this.#process.started.url
  }

  /** How many requests it was sent so far. */
  async questions(): Promise<Count> {
    return (await this.#process.report()).questions
  }

  async stop(): Promise<void> {
    await this.#process.stop()
  }
}

/** Guests, and the router's interface where there is a router. */
function portRows(network: DemoNetwork): PortRow[] {
  const common = {
    network_id: network.networkId,
    project_id: network.projectId,
    tenant_id: network.projectId,
    name: '',
  }
  const row = (
    id: string,
    mac: string,
    addresses: readonly string[],
    rest: Pick<PortRow, 'device_id' | 'device_owner'>,
  ): PortRow => ({
    ...common,
    ...rest,
    id,
    mac_address: mac,
    fixed_ips: addresses.map((address) => ({ ip_address: address, subnet_id: 'subnet' })),
  })
  const host = network.routerId === undefined ? 2 : 1
  const addresses = [`${demoSubnet.ip}.${host}`, `${demoSubnet.ip6}${host}`]
  const ofHost =
    network.routerId === undefined
      ? { device_id: `dhcp-${network.networkId}`, device_owner: 'network:dhcp' }
      : { device_id: network.routerId, device_owner: 'network:router_interface' }
  return [
    row(network.ownPortId, network.deviceMac, addresses, ofHost),
    ...network.guests.map((guest) =>
      row(guest.portId, guest.mac, [guest.ip, guest.ip6], {
        device_id: guest.instanceId,
        device_owner: 'compute:nova',
      }),
    ),
  ]
}
