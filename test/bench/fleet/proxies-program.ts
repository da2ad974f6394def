/** Many proxies in one process, as far as agents notice them: each has the real client of a worker, and a certificate of its own. */
import { readFileSync } from 'node:fs'
import { AgentClient } from '../../../proxy/worker/agent/agent-client.ts'
import { RawLoop } from '../../../proxy/worker/raw/raw-loop.ts'
import type { AnswerReceiver } from '../../../proxy/worker/shared/answer-receiver.ts'
import { WorkerMetrics } from '../../../proxy/worker/shared/metrics.ts'
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import { reportOnDemand } from '../bench-process.ts'
import { addressOf, guestIdOf, macOf, networkIdOf } from './cloud-rows.ts'

/** One host's proxy. */
export interface SimulatedProxy {
  readonly certificateFile: string
  readonly keyFile: string
  /** By number; guests of these send its requests. */
  readonly networks: readonly number[]
  /** In order of preference. */
  readonly agentPorts: readonly number[]
}

/** What the program is given, in a file, since it is long. */
export interface ProxiesOptions {
  readonly caFile: string
  readonly proxies: readonly SimulatedProxy[]
  readonly guests: Count
  /** Between two requests of one proxy. */
  readonly pause: Milliseconds
  /** In which they start one after the other: a thousand handshakes at once are the work of one processor here. */
  readonly startSpan: Milliseconds
}

/** What has become of the requests so far. */
export interface ProxiesReport {
  readonly answered: Count
  /** Another instance than that of the guest. */
  readonly wrong: Count
  readonly failed: Count
  /** How, with how often. */
  readonly failures: Readonly<Record<string, Count>>
  /** Of all since the last report. */
  readonly slowest: Milliseconds
  readonly failovers: Count
}

const { file } = JSON.parse(process.argv[2] ?? '{}') as { readonly file: string }
const options = JSON.parse(readFileSync(file, 'utf8')) as ProxiesOptions
const failures = new Map<string, Count>()
let [answered, wrong, failed, slowest] = [0, 0, 0, 0]
const ca = readFileSync(options.caFile, 'utf8')
const loop = new RawLoop()
const metrics = new WorkerMetrics()

function fail(how: string): void {
  failed += 1
  failures.set(how, (failures.get(how) ?? 0) + 1)
}

class Answer implements AnswerReceiver {
  readonly #expected: string
  readonly #began = systemClock.now()
  #status = 0
  #reason: string | undefined
  #body = ''

  constructor(expected: string) {
    this.#expected = expected
  }

  answerHead(status: number, _headers: string[], reason: string | undefined): void {
    this.#status = status
    this.#reason = reason
  }

  answerData(chunk: Buffer): boolean {
    this.#body += chunk.toString('latin1')
    return true
  }

  answerEnd(): void {
    slowest = Math.max(slowest, systemClock.now() - this.#began)
    if (this.#status !== 200) fail(`${this.#status} ${this.#reason ?? ''}`)
    else if (this.#body.includes(this.#expected)) answered += 1
    else wrong += 1
  }

  answerFailed({ code }: { readonly code: string }): void {
    fail(code)
  }
}

function startProxy({ certificateFile, keyFile, networks, agentPorts }: SimulatedProxy): void {
  const tls = {
    certificate: readFileSync(certificateFile, 'utf8'),
    key: readFileSync(keyFile, 'utf8'),
    ca,
  }
  const client = new AgentClient({
    config: {
      addresses: agentPorts.map((tcpPort) => ({ kind: 'tls', host: '127.0.0.1', tcpPort, tls })),
      connections: 64,
      timeoutConnect: 5_000,
      timeoutHeaders: 60_000,
      timeoutBody: 60_000,
      checksHealth: true,
    },
    clock: systemClock,
    loop,
    logger: silentLogger,
    metrics,
    defect: (cause) => fail(`defect: ${String(cause)}`),
  })
  client.meetAgents()
  let turn = 0
  const send = (): void => {
    turn += 1
    const network = networks[turn % networks.length] ?? 0
    const guest = turn % options.guests
    const headers = [
      ...[wireHeaders.ovnNetworkId, networkIdOf(network)],
      ...[wireHeaders.forwardedFor, addressOf(guest)],
      ...[wireHeaders.sourceMac, macOf(network, guest)],
    ]
    const request = { method: 'GET', target: '/openstack/latest/meta_data.json', headers }
    client.send({ ...request, body: null }, new Answer(guestIdOf(network, guest)))
  }
  setTimeout(() => {
    send()
    setInterval(send, options.pause)
  }, Math.random() * options.pause)
}

for (const [place, proxy] of options.proxies.entries()) {
  setTimeout(() => startProxy(proxy), (place * options.startSpan) / options.proxies.length)
}

reportOnDemand((): ProxiesReport => {
  const report = { answered, wrong, failed, slowest, failovers: metrics.agentFailovers }
  slowest = 0
  return { ...report, failures: Object.fromEntries(failures) }
})
