import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Seat } from '../guest-seats.ts'
import { routerId } from '../../conformance/topology.ts'
import { Latencies } from '../../bench/latencies.ts'
import { openFolder } from '../../support/running-proxy.ts'
import { freeTcpPort } from '../../support/start-worker.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain } from '../attacked-chain.ts'
import { allFloods, type Flood } from './flood.ts'
import { FloodProcess, type FloodTarget } from './flood-process.ts'
import { prefer } from './prefer.ts'
import { MemoryWatch, mostMemory } from '../memory-watch.ts'

const addressesPerGuest = 17
/** Of the neighbours; each asks, rests, and asks again. */
const lanes = 4
const rest = 10
/** Of a wave of connections, in milliseconds. */
const longestHold = 1_500
/** With less time than that for all of it, one number of workers has to do, in seconds. */
const shortTime = 30
/** Answers without which a percentile says nothing. */
const fewAnswers = 300
/** How many times as long as in a quiet time others may wait, at the 99th percentile. */
const mostSlowdown = 3
/** Below that, in milliseconds, nobody notices: it is the flood's own use of the processors that everything here shares. */
const noticeable = 50

/** One guest floods while guests beside it and on other networks ask. */
export const floods: AttackClass = {
  name: 'floods',
  what: 'one guest pipelines, holds connections, does not read: nobody else notices, memory stays',
  needsRoot: true,
  share: 4,
  async run(context) {
    const { deadline, random } = context
    const time = (deadline - performance.now()) / 1_000
    const counts = time < shortTime ? [random.pick([1, 2])] : [1, 2]
    const computeUrl = await startConstantCompute(context)
    for (const workers of counts) {
      await floodAll(context, computeUrl, workers, time / counts.length)
    }
  },
}

async function floodAll(
  context: AttackContext,
  computeUrl: string,
  workers: number,
  seconds: number,
): Promise<void> {
  const folder = openFolder(context.t)
  const authority = new TestAuthority(folder)
  const agentCertificate = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
  const stolen = authority.issue({ commonName: 'host-a' })
  const port = await freeTcpPort()
  const chain = await AttackedChain.start(context, {
    computeUrl,
    addressesPerGuest,
    workers,
    listeners: [
      {
        kind: 'overlapd',
        tcp: `127.0.0.1:${port}`,
        tls: {
          certificate_file: agentCertificate.certificateFile,
          key_file: agentCertificate.keyFile,
          ca_file: authority.caFile,
        },
        proxies: [{ name: 'host-a', scopes: ['*'] }],
      },
    ],
  })
  for (const pid of [
    process.pid,
    chain.agent.pid,
    chain.proxy.pid,
    ...(await chain.workerPids()),
  ]) {
    prefer(pid)
  }
  const [attacker, ...neighbours] = chain.seats.all
  if (attacker === undefined) throw new Error('There is no attacker')
  const guest = FloodProcess.start(context.t, attacker.netns)
  const host = FloodProcess.start(context.t)
  const stage = new FloodStage(context, chain, neighbours, `${workers} worker(s)`)
  const all = allFloods(peerRequestOf(attacker))
  context.begin()
  for (const flood of all) {
    const isGuest = flood.place === 'guest'
    const target: FloodTarget = isGuest
      ? { host: '169.254.169.254', port: 80, addresses: attacker.addresses }
      : { host: '127.0.0.1', port, addresses: [], tls: { ...stolen, caFile: authority.caFile } }
    await stage.run(flood, isGuest ? guest : host, target, (seconds * 1_000) / all.length)
  }
  await chain.stop()
}

function peerRequestOf({ router, addresses, macAddress }: Seat): string {
  return [
    'GET / HTTP/1.1',
    'Host: a',
    `X-Neutron-Router-ID: ${routerId(router)}`,
    `X-Forwarded-For: ${addresses[0]}`,
    `X-Overlapd-Source-MAC: ${macAddress}`,
    '',
    '',
  ].join('\r\n')
}

async function startConstantCompute({ t }: AttackContext): Promise<string> {
  const child = fork(new URL('compute-program.ts', import.meta.url))
  t.teardown(() => child.kill('SIGKILL'))
  prefer(child.pid ?? 0)
  const [port] = (await once(child, 'message')) as [number]
  return `http://127.0.0.1:${port}`
}

/** One chain, under one flood after the other. */
class FloodStage {
  readonly #context: AttackContext
  readonly #chain: AttackedChain
  readonly #neighbours: readonly Seat[]
  readonly #where: string

  constructor(
    context: AttackContext,
    chain: AttackedChain,
    neighbours: readonly Seat[],
    where: string,
  ) {
    this.#context = context
    this.#chain = chain
    this.#neighbours = neighbours
    this.#where = where
  }

  /** A quarter of the time it is quiet, before and after. */
  async run(
    flood: Flood,
    from: FloodProcess,
    target: FloodTarget,
    milliseconds: number,
  ): Promise<void> {
    const { report } = this.#context
    const what = `${flood.name}, ${this.#where}`
    const pids = await this.#chain.workerPids()
    const workers = new MemoryWatch(pids)
    const agent = new MemoryWatch([this.#chain.agent.pid])
    const quiet = new Latencies(0)
    const flooded = new Latencies(0)
    await this.#askFor(milliseconds / 4, quiet)
    from.start(flood, target, Math.min(longestHold, milliseconds / 4))
    await this.#askFor(milliseconds / 2, flooded)
    const { tried, failed } = await from.stop()
    await this.#askFor(milliseconds / 4, quiet)
    report.tried(tried)
    for (const [came, times] of Object.entries(failed)) {
      for (let time = 0; time < times; time += 1) report.fault('wrong', `${what}: ${came}`)
    }
    await this.#chain.checkProcesses(what)
    const memory = `${workers.start}/${workers.stop()}/${workers.max}`
    const agentMemory = `${agent.start}/${agent.stop()}/${agent.max}`
    if (workers.max > mostMemory) report.fault('crashed', `${what}: a worker took too much memory`)
    const ratio = this.#judge(what, quiet, flooded)
    report.measured(
      what,
      `${tried} tried, p99 ${ratio}, worker MiB ${memory}, agent MiB ${agentMemory} (start/end/max)`,
    )
  }

  async #askFor(milliseconds: number, latencies: Latencies): Promise<void> {
    const { random } = this.#context
    const until = performance.now() + milliseconds
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        do {
          const took = await this.#chain.askAs(random.pick(this.#neighbours))
          if (took !== undefined) latencies.add(took)
          await pause(rest)
        } while (performance.now() < until)
      }),
    )
  }

  #judge(what: string, quiet: Latencies, flooded: Latencies): string {
    const before = quiet.percentile(0.99) ?? 0
    const during = flooded.percentile(0.99) ?? 0
    const ratio = during / before
    const isKnown = Math.min(quiet.count, flooded.count) >= fewAnswers
    if (isKnown && ratio > mostSlowdown && during > noticeable) {
      this.#context.report.fault(
        'othersFailed',
        `${what}: others wait ${ratio.toFixed(1)} times as long`,
      )
    }
    return `${before.toFixed(1)} ms quiet ${during.toFixed(1)} ms flooded of ${flooded.count} (${ratio.toFixed(2)} x)`
  }
}
