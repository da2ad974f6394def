/** What does a supervisor leave when it dies? The socket of the workers that it left: a path, and a descriptor that its workers hold. */
import { systemClock, type Milliseconds } from '../../lib/runtime/clock.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import { TakeoverSocket, takeoverSocketPath } from '../../proxy/takeover/takeover-socket.ts'

export interface LeftSocket {
  readonly path: string
  /** The caller's to close. */
  readonly fd: number
}

const anyLimit: Milliseconds = 1_000

/** Makes the socket as a supervisor with this admin socket does. */
export async function leaveSocket(adminSocket: string): Promise<LeftSocket> {
  const path = takeoverSocketPath(adminSocket)
  let fd = -1
  const socket = new TakeoverSocket({
    path,
    limit: anyLimit,
    onChange: (takeover) => {
      fd = takeover?.fd ?? -1
    },
    clock: systemClock,
    logger: silentLogger,
  })
  await socket.start()
  return { path, fd }
}
