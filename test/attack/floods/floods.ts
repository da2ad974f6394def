import { setTimeout as pause } from 'node:timers/promises'
import type { Seat } from '../guest-seats.ts'
import { routerId } from '../../conformance/topology.ts'
import { Latencies } from '../../bench/latencies.ts'
import { openFolder } from '../../support/running-proxy.ts'
import { freeTcpPort } from '../../support/start-worker.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain } from '../attacked-chain.ts'
import { startConstantServer } from './constant-server.ts'
import { allFloods, type Flood } from './flood.ts'
import { FloodProcess, type FloodTarget } from './flood-process.ts'
import { prefer } from './prefer.ts'
import { MemoryWatch, mostMemory } from '../memory-watch.ts'

const addressesPerGuest = 17
/** Of each router, on its network. */
const gateway = '10.0.0.1'
/** Of the neighbours; each asks, rests, and asks again. */
const lanes = 4
const rest = 10
/** Of a wave of connections, in milliseconds. */
const longestHold = 1_500
/** With less time than that for all of it, one number of workers has to do, in seconds. */
const shortTime = 30
/** Answers without which a percentile says nothing. */
const fewAnswers = 300
/** How many times as long as without it others may wait, at the 99th percentile. */
const mostSlowdown = 3
/** Below that, in milliseconds, no program that boots a machine notices. */
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
    const computeUrl = `http://127.0.0.1:${await startConstantServer(context.t, '127.0.0.1')}`
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
  const netns = chain.seats.namespaces[attacker.router - 1]
  const besideGuests = await startConstantServer(context.t, gateway, netns)
  const besideAgent = await startConstantServer(context.t, '127.0.0.1')
  const stage = new FloodStage(context, chain, neighbours, `${workers} worker(s)`)
  const all = allFloods(peerRequestOf(attacker))
  context.begin()
  for (const flood of all) {
    const isGuest = flood.place === 'guest'
    const target: FloodTarget = isGuest
      ? { host: '169.254.169.254', port: 80, addresses: attacker.addresses }
      : { host: '127.0.0.1', port, addresses: [], tls: { ...stolen, caFile: authority.caFile } }
    const elsewhere: FloodTarget = isGuest
      ? { ...target, host: gateway, port: besideGuests }
      : { host: '127.0.0.1', port: besideAgent, addresses: [] }
    const from = isGuest ? guest : host
    await stage.run(flood, from, { target, elsewhere }, (seconds * 1_000) / all.length)
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

  /**
   * First it is quiet. Then the flood goes elsewhere, over the same link, where it uses the same processors. Half of the time it goes to
   * the service.
   */
  async run(
    flood: Flood,
    from: FloodProcess,
    { target, elsewhere }: Readonly<Record<'target' | 'elsewhere', FloodTarget>>,
    milliseconds: number,
  ): Promise<void> {
    const { report } = this.#context
    const what = `${flood.name}, ${this.#where}`
    const hold = Math.min(longestHold, milliseconds / 4)
    const quiet = await this.#ask(milliseconds / 4)
    from.start(flood, elsewhere, hold)
    const beside = await this.#ask(milliseconds / 4)
    await from.stop()
    const workers = new MemoryWatch(await this.#chain.workerPids())
    const agent = new MemoryWatch([this.#chain.agent.pid])
    from.start(flood, target, hold)
    const flooded = await this.#ask(milliseconds / 2)
    const { tried, failed } = await from.stop()
    report.tried(tried)
    for (const [came, times] of Object.entries(failed)) {
      for (let time = 0; time < times; time += 1) report.fault('wrong', `${what}: ${came}`)
    }
    await this.#chain.checkProcesses(what)
    const memory = `${workers.start}/${workers.stop()}/${workers.max}`
    const agentMemory = `${agent.start}/${agent.stop()}/${agent.max}`
    if (workers.max > mostMemory) report.fault('crashed', `${what}: a worker took too much memory`)
    const ratio = this.#judge(what, quiet, beside, flooded)
    report.measured(
      what,
      `${tried} tried, p99 ${ratio}, worker MiB ${memory}, agent MiB ${agentMemory} (start/end/max)`,
    )
  }

  async #ask(milliseconds: number): Promise<Latencies> {
    const { random } = this.#context
    const latencies = new Latencies(0)
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
    return latencies
  }

  #judge(what: string, quiet: Latencies, beside: Latencies, flooded: Latencies): string {
    const [before, alone, during] = [quiet, beside, flooded].map(
      (latencies) => latencies.percentile(0.99) ?? 0,
    ) as [number, number, number]
    const ratio = during / Math.max(before, alone)
    const isKnown = Math.min(beside.count, flooded.count) >= fewAnswers
    if (isKnown && ratio > mostSlowdown && during > noticeable) {
      this.#context.report.fault(
        'othersFailed',
        `${what}: others wait ${ratio.toFixed(1)} times as long`,
      )
    }
    const times = `${before.toFixed(1)} ms quiet ${alone.toFixed(1)} ms flood elsewhere ${during.toFixed(1)} ms flooded`
    return `${times} of ${flooded.count} (${ratio.toFixed(2)} x)`
  }
}
