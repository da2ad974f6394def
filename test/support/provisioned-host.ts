/** How do tests get a proxy that provisions namespaces for a host of a real OVN, and look at what it made? */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { ProxyStatus } from '../../lib/operator/api/proxy-api.ts'
import { ipBatch, runProgram, type Ran } from './netns.ts'
import { OpenVswitch, whyNoOpenVswitch } from './open-vswitch.ts'
import { OvnCentral, whyNoOvnCentral } from './ovn-central.ts'
import type { OvnNetwork, OvnPort } from './ovn-networks.ts'
import { until } from './until.ts'
import { makeStage, startProxyOn, type ProxyStage, type RunningProxy } from './running-proxy.ts'

/**
 * Tells whether OVN and Open vSwitch can be started here. When not, the file's plan is skipped with the reason, or fails where
 * `OVERLAPD_TEST_REQUIRE_PRIVILEGE=1` says that a skip would hide something.
 */
export function skipUnlessOvn(t: Test): boolean {
  const reason = whyNoOvnCentral() ?? whyNoOpenVswitch()
  if (reason === undefined) return true
  if (process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1') t.fail(reason)
  else t.plan(0, reason)
  return false
}

export interface ProvisionedHostOptions {
  /** As in {@link OpenVswitch}. @default false */
  readonly hasSwitch?: boolean
  /** Whether ovn-controller binds ports and makes flows; otherwise the test binds them. */
  readonly hasController?: boolean
}

/** What a network's namespace looks like from its inside. */
export interface Inside {
  readonly mac: string
  readonly mtu: number
  readonly isUp: boolean
  /** With prefix, sorted. */
  readonly addresses: readonly string[]
}

interface IpLink {
  readonly ifname: string
  readonly address: string
  readonly mtu: number
  readonly flags: readonly string[]
  readonly addr_info?: readonly { readonly local: string; readonly prefixlen: number }[]
}

/** A host with its databases, and the folder its namespaces are in. */
export class ProvisionedHost {
  readonly central: OvnCentral
  readonly switch: OpenVswitch
  readonly stage: ProxyStage
  readonly chassis: string
  readonly #t: Test

  static async open(t: Test, options: ProvisionedHostOptions = {}): Promise<ProvisionedHost> {
    const { hasSwitch = false, hasController = false } = options
    const chassis = randomUUID()
    const central = await OvnCentral.start()
    t.teardown(() => central.close())
    const openVswitch = await OpenVswitch.start({
      systemId: chassis,
      hasSwitch,
      ...(hasController && { southbound: central.southbound }),
    })
    t.teardown(() => openVswitch.close())
    if (!hasController) await central.sbctl('chassis-add', chassis, 'geneve', '127.0.0.1')
    return new ProvisionedHost(t, central, openVswitch, await makeStage(t), chassis)
  }

  private constructor(
    t: Test,
    central: OvnCentral,
    openVswitch: OpenVswitch,
    stage: ProxyStage,
    chassis: string,
  ) {
    this.#t = t
    this.central = central
    this.switch = openVswitch
    this.stage = stage
    this.chassis = chassis
  }

  /** Starts a proxy that provisions; the namespaces it makes are removed in teardown. */
  startProxy(...set: readonly string[]): Promise<RunningProxy> {
    return startProxyOn(this.#t, this.stage, { set: [...this.settings, ...set] })
  }

  /** The same with words before it that run the words behind them. */
  startProxyBy(by: readonly string[]): Promise<RunningProxy> {
    return startProxyOn(this.#t, this.stage, { set: this.settings, by })
  }

  get settings(): readonly string[] {
    return [
      'ovn_provision.enabled=true',
      `ovn_provision.ovn_sb_connection=${JSON.stringify([this.central.southbound])}`,
      `ovn_provision.ovsdb_connection=${this.switch.endpoint}`,
      'limits.timeout_drain=100ms',
    ]
  }

  path(network: { readonly id: string }): string {
    return join(this.stage.netnsFolder, `ovnmeta-${network.id}`)
  }

  /** Removes what the proxies made, for the teardown of a test. */
  clean(networks: readonly { readonly id: string }[]): void {
    this.#t.teardown(async () => {
      for (const network of networks) {
        if (existsSync(this.path(network))) await runProgram(['umount', '-l', this.path(network)])
        await runProgram(['ip', 'link', 'delete', outsideOf(network)])
      }
      await runProgram(['umount', '-l', this.stage.netnsFolder])
    })
  }

  async bind(port: OvnPort): Promise<void> {
    await this.central.sbctl('lsp-bind', port.id, this.chassis)
  }

  async unbind(port: OvnPort): Promise<void> {
    await this.central.sbctl('lsp-unbind', port.id)
  }

  /** Runs a program inside a network's namespace. */
  run(network: { readonly id: string }, command: readonly string[]): Promise<Ran> {
    return runProgram(['nsenter', `--net=${this.path(network)}`, ...command])
  }

  async inside(network: OvnNetwork): Promise<Inside | undefined> {
    if (!existsSync(this.path(network))) return undefined
    const { stdout } = await this.run(network, ['ip', '-json', 'addr', 'show'])
    const name = `tap${network.id.slice(0, 10)}1`
    const link = (JSON.parse(stdout) as IpLink[]).find(({ ifname }) => ifname === name)
    if (link === undefined) return undefined
    const { address, mtu, flags, addr_info: addresses = [] } = link
    return {
      mac: address,
      mtu,
      isUp: flags.includes('UP'),
      addresses: addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(),
    }
  }

  /** What Open vSwitch knows of a network's cable: its logical port, on the bridge that has it. */
  async plugged(network: OvnNetwork): Promise<string | undefined> {
    const ports = await this.switch.vsctl('list-ports', this.switch.bridge)
    if (!ports.split('\n').includes(outsideOf(network))) return undefined
    return await this.switch.vsctl(
      '--if-exists',
      'get',
      'Interface',
      outsideOf(network),
      'external_ids:iface-id',
    )
  }
}

/** Asks again and again until the answer is as wanted. */
export async function eventually<Value>(
  what: string,
  ask: () => Value | Promise<Value>,
  isSo: (value: Value) => boolean,
): Promise<Value> {
  let value = await ask()
  let tries = 0
  await until(async () => {
    if (tries > 0) value = await ask()
    tries += 1
    if (tries > 3_000) throw new Error(`It did not come to "${what}": ${JSON.stringify(value)}`)
    return isSo(value)
  }, 20)
  return value
}

/** The host's end of a network's cable. */
export function outsideOf(network: { readonly id: string }): string {
  return `tap${network.id.slice(0, 10)}0`
}

/** True when so many networks are provisioned and served, and nothing is under way. */
export function hasProvisioned(count: number): (status: ProxyStatus) => boolean {
  return ({ ovnProvision, namespaces }) => {
    const { done, pending, failed } = ovnProvision?.networks ?? { done: -1, pending: 0, failed: 0 }
    const served = namespaces.filter(({ state }) => state === 'serving')
    return (
      ovnProvision?.isSouthboundLive === true &&
      done === count &&
      pending + failed === 0 &&
      served.length >= count
    )
  }
}

/** A guest's machine whose cable hangs in the host, as Nova would leave it; OVS plugs it in. */
export function makeGuestLink(
  guest: string,
  outside: string,
  mac: string,
  addresses: readonly string[],
  routes: readonly string[],
): void {
  ipBatch([`link add name ${outside} type veth peer name eth0 address ${mac} netns ${guest}`])
  ipBatch([`link set ${outside} up`])
  ipBatch(
    [
      'link set lo up',
      'link set eth0 up',
      ...addresses.map((one) => `addr add ${one} dev eth0${one.includes(':') ? ' nodad' : ''}`),
      ...routes.map((one) => `route add ${one} dev eth0`),
    ],
    guest,
  )
}
