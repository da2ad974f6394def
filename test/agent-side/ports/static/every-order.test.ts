import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { StaticDirectory } from '../../../../agent-side/ports/static/directory.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { silentLogger } from '../../../../lib/runtime/log.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../../../conformance/topology.ts'
import { everyOrder, shownOrder, type OrderedWorld } from '../../../support/every-order.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { staticFileText } from '../../../support/static-file.ts'

/** What the file can hold: whose the ports of the two networks are, or nothing that can be used. */
const contents = {
  'A and B': [1, 2],
  'B and A': [2, 1],
  'A alone': [1, undefined],
  nonsense: undefined,
} as const
type Content = keyof typeof contents | 'no file'

function textOf(content: keyof typeof contents): string {
  const owners = contents[content]
  if (owners === undefined) return 'networks: ['
  const networks = [1, 2].map((one) => ({ networkId: networkId(one), projectId: projectId(1) }))
  const ports = owners.flatMap((owner, index) =>
    owner === undefined
      ? []
      : [
          {
            portId: portId(index + 1),
            networkId: networkId(index + 1),
            macAddress: mac(1),
            fixedIps: [ip('10.0.0.10')],
            instanceId: instanceId(owner),
            projectId: projectId(1),
            deviceOwner: 'compute:nova',
          },
        ],
  )
  return staticFileText({ networks, routers: [], ports })
}

/** The real directory over a file in a folder that reports no changes, so that each look happens when the order says so. */
class StaticWorld implements OrderedWorld {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ovt-static-'))
  readonly #directory: StaticDirectory
  readonly #past: string[] = []
  /** What is there, and what was there at the last look. */
  #content: Content = 'no file'
  #seen: Content = 'no file'
  #lastGood: keyof typeof contents | undefined

  constructor() {
    mkdirSync(join(this.#folder, 'far'))
    symlinkSync(join('far', 'ports.yaml'), join(this.#folder, 'ports.yaml'))
    this.#directory = new StaticDirectory(
      { file: join(this.#folder, 'ports.yaml'), poll_interval: 10_000 },
      { clock: new FakeClock(), logger: silentLogger, registry: createRegistry() },
    )
  }

  steps(): readonly string[] {
    const writing = Object.keys(contents).filter((content) => content !== this.#content)
    const removing = this.#content === 'no file' ? [] : ['remove']
    const looking = this.#past.includes('start') ? 'look' : 'start'
    return [...writing.map((content) => `write ${content}`), ...removing, looking]
  }

  async take(step: string): Promise<void> {
    this.#past.push(step)
    const far = join(this.#folder, 'far', 'ports.yaml')
    if (step === 'remove') {
      rmSync(far)
      this.#content = 'no file'
    } else if (step.startsWith('write ')) {
      this.#content = step.slice('write '.length) as keyof typeof contents
      writeFileSync(`${far}.new`, textOf(this.#content))
      renameSync(`${far}.new`, far)
    } else {
      if (step === 'start') await this.#directory.start()
      else await this.#directory.reload()
      this.#seen = this.#content
      if (this.#seen !== 'no file' && contents[this.#seen] !== undefined)
        this.#lastGood = this.#seen
    }
  }

  /** A look at what is known already changes nothing. */
  state(): string {
    const hasStarted = this.#past.includes('start')
    return JSON.stringify([this.#content, this.#seen, this.#lastGood ?? null, hasStarted])
  }

  wrong(): string | undefined {
    const { ready, detail } = this.#directory.readiness()
    if (ready !== (this.#lastGood !== undefined)) return `ready: ${ready}`
    const isSeenGood = this.#seen === this.#lastGood
    if (ready && isSeenGood === /not used/.test(detail))
      return `with ${this.#seen} it says ${detail}`
    for (const network of [1, 2]) {
      const right = this.#lastGood && contents[this.#lastGood]?.[network - 1]
      const named = this.#named(network)
      const wanted = this.#lastGood === undefined ? 'not ready' : right && instanceId(right)
      if (named !== wanted) return `network ${network} is of ${named ?? 'nobody'}`
    }
    return undefined
  }

  async end(): Promise<void> {
    await this.#directory.close()
    rmSync(this.#folder, { recursive: true })
  }

  #named(network: number): string | undefined {
    try {
      const query = { networkIds: [networkId(network)], macAddress: mac(1) }
      const { ports } = this.#directory.findPorts(query)
      return ports.find((port) => port.networkId === networkId(network))?.instanceId
    } catch (cause) {
      if (cause instanceof MetadataError) return 'not ready'
      throw cause
    }
  }
}

t.test(
  'whatever is done to the file, the last good one that was there at a look is answered from',
  async (t) => {
    const orders = await everyOrder(() => new StaticWorld(), { depth: 7 })
    t.comment(`${orders.states} states, ${orders.steps} steps`)
    t.equal(shownOrder(orders), 'no order goes wrong')
  },
)
