import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inParallel, runCommand } from '../../../deploy/demo/run-command.ts'
import type { DemoNetwork } from '../../../deploy/demo/topology.ts'
import { scriptPath } from '../../openstack/place.ts'
import type { Teardown } from '../teardown.ts'

/** The L3 and DHCP agents start one after the other; this is kinder to the peer. */
const startsAtOnce = 2

interface Configured {
  readonly network: DemoNetwork
  readonly configFile: string
  readonly pidFile: string
}

/** One haproxy per namespace, each configured by Neutron's own code, as the L3 and DHCP agents run them. */
export class Haproxies {
  readonly #configured: readonly Configured[]
  readonly #folder: string
  readonly #stop: () => Promise<void>
  #pids: readonly number[] = []

  private constructor(folder: string, configured: readonly Configured[], teardown: Teardown) {
    this.#folder = folder
    this.#configured = configured
    this.#stop = teardown.add(() => this.#end())
  }

  /** @param agentSocket of Neutron's metadata agent */
  static async configure(
    networks: readonly DemoNetwork[],
    agentSocket: string,
    teardown: Teardown,
  ): Promise<Haproxies> {
    const folder = await mkdtemp(join(tmpdir(), 'overlapd-bench-haproxy-'))
    const templates = new Map<string, string>()
    const configured: Configured[] = []
    for (const network of networks) {
      const id = network.routerId ?? network.networkId
      const kind = network.routerId === undefined ? 'network' : 'router'
      // Neutron's code takes a second to load; what it writes for two routers differs in the id alone.
      const template =
        templates.get(kind) ?? (await writtenByNeutron(folder, kind, agentSocket, '@device'))
      templates.set(kind, template)
      const configFile = join(folder, `${id}.conf`)
      const text = template.replaceAll(placeholder, id).replaceAll('@device', network.device)
      await writeFile(configFile, text)
      configured.push({ network, configFile, pidFile: pidFileOf(folder, id) })
    }
    return new Haproxies(folder, configured, teardown)
  }

  /** @returns once each accepts connections */
  async start(): Promise<void> {
    this.#pids = await inParallel(
      this.#configured,
      startsAtOnce,
      async ({ network, configFile, pidFile }) => {
        const haproxy = ['netns', 'exec', network.netns, 'haproxy', '-f', configFile]
        await runCommand('ip', haproxy)
        return Number(await readFile(pidFile, 'utf8'))
      },
    )
  }

  pids(): readonly number[] {
    return this.#pids
  }

  async stop(): Promise<void> {
    await this.#stop()
  }

  async #end(): Promise<void> {
    for (const pid of this.#pids) process.kill(pid, 'SIGKILL')
    this.#pids = []
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const placeholder = '00000000-0000-4000-8000-000000000000'

function pidFileOf(folder: string, id: string): string {
  return join(folder, `${id}.pid`)
}

async function writtenByNeutron(
  folder: string,
  kind: 'router' | 'network',
  agentSocket: string,
  device: string,
): Promise<string> {
  const state = join(folder, 'state')
  await mkdir(state, { recursive: true })
  const words = [state, pidFileOf(folder, placeholder), agentSocket, kind, placeholder, device]
  const printed = await runCommand('/usr/bin/python3', [scriptPath('haproxy_config.py'), ...words])
  return await readFile(printed.trim(), 'utf8')
}
