/** The connections of a worker to its agent are shared by all guests of the host: whom can one of them keep from it? */
import { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connectSocket, linux, openSocket, setSocketOption } from '../../lib/linux/libc.ts'
import { socketAddress } from '../../proxy/linux/socket-address.ts'
import { ip, networkId } from '../conformance/topology.ts'
import { askRaw, get, RawConnection, type RawTarget } from '../support/raw-http.ts'
import { plainAnswer } from '../support/recording-agent.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import {
  networkIdentity,
  routerIdentity,
  startWorker,
  type StartedWorker,
} from '../support/start-worker.ts'
import { WireUpstream } from '../support/wire-upstream.ts'

const connections = 4
const otherNetwork = {
  scope: { kind: 'network', networkId: networkId(9) },
  flavour: 'ovn',
} as const

/** An agent that answers `/slow` when the test lets it, and everything else at once. */
async function start(t: Test): Promise<{
  worker: StartedWorker
  agent: WireUpstream
  letGo: () => void
  slowAsked: (count: number) => Promise<void>
}> {
  const path = join(scratchFolder(t), 'agent.sock')
  const agent = await WireUpstream.start(path)
  const held: (() => void)[] = []
  let slow = 0
  agent.answer = ({ head, socket }) => {
    const answer = (): void => void socket.write(plainAnswer('ok'))
    if (!head.startsWith('GET /slow')) answer()
    else {
      slow += 1
      held.push(answer)
    }
  }
  const worker = await startWorker({
    agentSocket: path,
    agent: { connections },
    identities: [routerIdentity, networkIdentity, otherNetwork],
  })
  t.teardown(async () => {
    await worker.stop()
    await agent.close()
  })
  return {
    worker,
    agent,
    letGo: () => {
      for (const answer of held.splice(0)) answer()
    },
    slowAsked: async (count) => {
      while (slow < count) await turn()
    },
  }
}

/** Its kernel takes as little as a kernel can. */
function guestThatReadsNothing({ host, tcpPort }: RawTarget): Socket {
  const fd = openSocket(linux.AF_INET, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
  setSocketOption(fd, linux.SOL_SOCKET, receiveBuffer, 1)
  connectSocket(fd, socketAddress(ip(host), tcpPort).bytes)
  const socket = new Socket({ fd, readable: true, writable: true })
  socket.pause()
  socket.on('error', () => undefined)
  return socket
}

/** @see socket(7) SO_RCVBUF */
const receiveBuffer = 8

t.test('one namespace cannot keep the others from the agent', async (t) => {
  const { worker, letGo, slowAsked } = await start(t)
  const noisy = await Promise.all(
    Array.from({ length: 3 * connections }, () => RawConnection.open(worker.targets[0]!)),
  )
  for (const guest of noisy) await guest.write(get('/slow'))
  await slowAsked(connections - 1)

  const answer = await askRaw(worker.targets[1]!, get('/quick'))

  t.equal(answer?.status, 200, 'the other is served while all of them wait')
  const answers = Promise.all(noisy.map((guest) => guest.answer()))
  for (let count = connections - 1; count <= noisy.length; count += 1) {
    letGo()
    await slowAsked(Math.min(count + 1, noisy.length))
  }
  letGo()
  t.same(
    (await answers).map((one) => one?.status),
    noisy.map(() => 200),
    'and each of them in its turn',
  )
  for (const guest of noisy) guest.close()
})

t.test('a guest with few requests is next, however many wait', async (t) => {
  const { worker, agent, letGo, slowAsked } = await start(t)
  const noisy: RawConnection[] = []
  for (const target of [worker.targets[0]!, worker.targets[2]!]) {
    for (let count = 0; count < 2 * connections; count += 1) {
      const guest = await RawConnection.open(target)
      await guest.write(get('/slow'))
      noisy.push(guest)
    }
  }
  await slowAsked(connections - 1)
  const quiet = await RawConnection.open(worker.targets[1]!)
  await quiet.write(get('/quick'))
  // The worker has read it once it has answered somebody who came later.
  await (await RawConnection.open(worker.targets[1]!)).write('GARBAGE\r\n\r\n')
  await worker.metric('overlapd_proxy_connections_open')
  const before = agent.requests.length

  letGo()
  t.equal((await quiet.answer())?.status, 200)

  const place = agent.requests.findIndex(({ head }) => head.startsWith('GET /quick')) - before
  t.ok(place < connections, `it was number ${place} after those that were being answered`)
  for (const guest of [...noisy, quiet]) guest.close()
})

t.test('guests that read no answer keep no connection to the agent', async (t) => {
  const { worker, agent } = await start(t)
  const large = plainAnswer(Buffer.alloc(192 * 1024, 'x'))
  agent.answer = ({ head, socket }) => {
    socket.write(head.startsWith('GET /large') ? large : plainAnswer('ok'))
  }
  const slow: Socket[] = []
  for (const target of [worker.targets[0]!, worker.targets[2]!]) {
    for (let count = 0; count < 2 * connections; count += 1)
      slow.push(guestThatReadsNothing(target))
  }
  for (const guest of slow) guest.write(get('/large'))
  while (agent.requests.length < slow.length) await turn()

  const answer = await askRaw(worker.targets[1]!, get('/quick'))

  t.equal(answer?.status, 200)
  for (const guest of slow) guest.destroy()
})

t.test('a guest that leaves while it waits for its turn takes no other guest’s', async (t) => {
  const { worker, letGo, slowAsked } = await start(t)
  const noisy = await Promise.all(
    Array.from({ length: 3 * connections }, () => RawConnection.open(worker.targets[0]!)),
  )
  for (const guest of noisy) await guest.write(get('/slow'))
  await slowAsked(connections - 1)
  for (const guest of noisy) guest.close()
  while ((await worker.metric('overlapd_proxy_connections_open')) > 0);
  letGo()

  const after = await Promise.all(
    Array.from({ length: 2 * connections }, () => askRaw(worker.targets[0]!, get('/quick'))),
  )

  t.same(
    after.map((one) => one?.status),
    after.map(() => 200),
  )
})
