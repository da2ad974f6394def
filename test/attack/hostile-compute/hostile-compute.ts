import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { get } from '../../support/raw-http.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { AttackedChain } from '../attacked-chain.ts'
import type { Seat } from '../guest-seats.ts'
import { MemoryWatch, mostMemory } from '../memory-watch.ts'
import { hostileAnswers, stolen, type HostileAnswer } from './hostile-answers.ts'

/** Requests at once. */
const lanes = 6
/** Of a guest: more than the agent's own limits, so that what it gets is what they bring. */
const patience = 10_000
/** How long compute may take for a head, and between two parts of a body, for the agent and for workers that ask it themselves. */
const limits = {
  compute: { timeout_headers: '2s', timeout_body: '1s' },
  proxy: ['agent.timeout_headers=5s', 'agent.timeout_body=3s'],
}
/** After the last request, for connections of compute to be closed. */
const afterwards = 3_000

/** A compute service that was broken into: it hurts nobody but those it answers. */
export const hostileCompute: AttackClass = {
  name: 'hostile-compute',
  what: 'compute answers with garbage, too much, too little, twice, without end: guests get a refusal or what is theirs',
  needsRoot: true,
  async run(context) {
    const compute = await HostileCompute.start(context)
    const chain = await AttackedChain.start(context, { computeUrl: compute.url, ...limits })
    const [guest, ...neighbours] = chain.seats.all
    if (guest === undefined) throw new Error('There is no guest')
    const memory = new MemoryWatch([chain.agent.pid, ...(await chain.workerPids())])
    context.begin()
    const attack = new ComputeAttack(context, chain, guest, compute)
    await Promise.all([
      chain.watch(neighbours),
      ...Array.from({ length: lanes }, () => attack.lane()),
    ])
    await chain.checkProcesses('answers of a hostile compute')
    await attack.finish(memory)
  },
}

class HostileCompute {
  readonly url: string
  /** Connections on which something without an end is sent. */
  readonly endless = new Set<Socket>()
  readonly #context: AttackContext
  readonly #answers = new Map<string, HostileAnswer>()

  private constructor(context: AttackContext, url: string) {
    this.#context = context
    this.url = url
  }

  static async start(context: AttackContext): Promise<HostileCompute> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const compute = new HostileCompute(context, `http://127.0.0.1:${port}`)
    server.on('connection', (socket) => compute.#serve(socket))
    context.t.teardown(() => server.close())
    return compute
  }

  /** A request for this target is answered so. */
  expect(target: string, answer: HostileAnswer): void {
    this.#answers.set(target, answer)
  }

  forget(target: string): void {
    this.#answers.delete(target)
  }

  #serve(socket: Socket): void {
    let received = ''
    socket.on('error', () => undefined)
    socket.on('close', () => this.endless.delete(socket))
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      for (;;) {
        const end = received.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = received.slice(0, end)
        received = received.slice(end + 4)
        this.#answer(socket, head)
      }
    })
  }

  #answer(socket: Socket, head: string): void {
    const [, target = ''] = head.split(' ')
    const answer = this.#answers.get(target)
    if (answer === undefined) {
      const instance = /^x-instance-id: *(.*)$/im.exec(head)?.[1]?.trim() ?? ''
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${instance.length}\r\n\r\n${instance}`)
      return
    }
    if (answer.name.includes('without end')) this.endless.add(socket)
    answer.send(socket, bodyOf(target), this.#context.random)
  }
}

/** What a target is to be answered with. */
function bodyOf(target: string): string {
  return `id:${target.slice(1)}`
}

class ComputeAttack {
  readonly #context: AttackContext
  readonly #chain: AttackedChain
  readonly #guest: Seat
  readonly #compute: HostileCompute
  #number = 0

  constructor(context: AttackContext, chain: AttackedChain, guest: Seat, compute: HostileCompute) {
    this.#context = context
    this.#chain = chain
    this.#guest = guest
    this.#compute = compute
  }

  async lane(): Promise<void> {
    const { random } = this.#context
    while (!this.#context.isOver()) {
      await this.#try(random.pick(hostileAnswers))
      // A right answer, after which a worker may hold a lease again.
      await this.#chain.askAs(this.#guest)
    }
  }

  async finish(memory: MemoryWatch): Promise<void> {
    const { report } = this.#context
    await pause(afterwards)
    if (this.#compute.endless.size > 0) {
      report.fault('crashed', `${this.#compute.endless.size} answers without an end go on`)
    }
    const end = memory.stop()
    if (memory.max > mostMemory) report.fault('crashed', 'a process took too much memory')
    report.measured('MiB start/end/max', `${memory.start}/${end}/${memory.max}`)
  }

  async #try(answer: HostileAnswer): Promise<void> {
    const { report } = this.#context
    this.#number += 1
    const target = `/${this.#number}`
    this.#compute.expect(target, answer)
    report.tried()
    const connection = this.#chain.seats.connect(this.#guest)
    void connection.write(get(target, 'Connection: close'))
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      connection.close()
    }, patience)
    const text = (await connection.rest()).toString('latin1')
    clearTimeout(late)
    connection.close()
    this.#compute.forget(target)
    this.#judge(answer.name, target, text, isLate)
  }

  #judge(name: string, target: string, text: string, isLate: boolean): void {
    const { report } = this.#context
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0)
    report.count(`answered ${status || 'with nothing'}`)
    const ids = text.match(/id:\w+/g) ?? []
    if (ids.some((id) => id === stolen || !bodyOf(target).startsWith(id))) {
      report.fault('wrong', `${name}: the guest was given another answer`)
    }
    const isOver = text.split('HTTP/1.1 ').length - 1
    if (isOver > 1) report.fault('wrong', `${name}: the guest was given ${isOver} answers`)
    if (status === 0) report.fault('wrong', `${name}: the guest was given no answer`)
    const isRefusal = status >= 500 && /^x-overlapd-reason: /im.test(text)
    if (status >= 500 && !isRefusal) report.fault('wrong', `${name}: ${status} without a reason`)
    // What has no end goes on for as long as the guest reads it.
    if (isLate && status !== 200) report.fault('wrong', `${name}: not refused in time`)
  }
}
