import { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { RequestPool } from '../../../../lib/fast-http/request-pool.ts'
import type { ByteSocket } from '../../../../lib/sockets/byte-socket.ts'
import {
  DirectClient,
  type DirectReceiver,
  type DirectUpstream,
} from '../../../../proxy/worker/forwarding/direct-client.ts'
import { EndpointReach } from '../../../../proxy/worker/forwarding/endpoint-reach.ts'
import { RawLoop } from '../../../../proxy/worker/raw/raw-loop.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** A connection that fails as it is written to. */
class FailingSocket extends Duplex implements ByteSocket {
  readonly #code: string

  constructor(code: string) {
    super()
    this.#code = code
  }

  override _read(): void {
    // Nothing comes.
  }

  override _write(_chunk: unknown, _encoding: unknown, done: (cause: Error) => void): void {
    done(Object.assign(new Error(this.#code), { code: this.#code }))
  }

  setTimeout(): void {
    // No time passes.
  }

  destroySoon(): void {
    this.destroy()
  }

  resetAndDestroy(): void {
    this.destroy()
  }
}

function clientOf(t: Test): DirectClient {
  const loop = new RawLoop()
  const client = new DirectClient({
    config: { leaseSocket: '/nowhere', leases: 1, connections: 1, timeoutConnect: 1_000 },
    timeouts: { timeoutHeaders: 1_000, timeoutBody: 1_000 },
    clock: new FakeClock(),
    loop,
    defect: (cause) => t.error(cause),
  })
  t.teardown(() => {
    client.close()
    loop.close()
  })
  return client
}

function failingUpstream(t: Test, code: string): DirectUpstream {
  const pool = new RequestPool({
    host: 'compute',
    connect: (connected) => connected(null, new FailingSocket(code)),
    timeoutHeaders: 1_000,
    timeoutBody: 1_000,
    defect: (cause) => t.error(cause),
  })
  t.teardown(() => pool.destroy())
  const reach = new EndpointReach({ clock: new FakeClock(), probe: () => undefined })
  return { url: 'http://compute', headers: [], pool, reach }
}

/** @returns how the request ended, when its connection failed with that code */
function outcomeOf(client: DirectClient, upstream: DirectUpstream): Promise<string> {
  return new Promise((resolve) => {
    const receiver: DirectReceiver = {
      handBack: (status) => resolve(`handed back, ${status}`),
      answerHead: (status) => resolve(`answered, ${status}`),
      answerData: () => true,
      answerEnd: () => resolve('ended'),
      answerFailed: ({ code }) => resolve(`failed, ${code}`),
    }
    client.send(upstream, { method: 'GET', target: '/' }, 'project', receiver)
  })
}

for (const [code, isReached] of [
  ['ECONNRESET', true],
  // After an end that was not noticed, the kernel names a reset so.
  ['EPIPE', true],
  ['EHOSTUNREACH', false],
] as const) {
  t.test(`a request that ends in ${code} is handed back to the agent`, async (t) => {
    const client = clientOf(t)
    const upstream = failingUpstream(t, code)
    t.ok(client.tryEnter('project'))

    t.equal(await outcomeOf(client, upstream), 'handed back, undefined')

    t.equal(client.running, 0)
    t.equal(upstream.reach.isUsable(), isReached, 'whether others may go there')
  })
}
