/** How does a program without privileges receive messages of its supervisor, and send its own? */
import { Socket } from 'node:net'
import { systemClock, type Bytes } from '../../../lib/runtime/clock.ts'
import { JsonLineChannel } from '../../../lib/wire/json-line-channel.ts'

/** Numbers of what a program without privileges begins with, beside the usual three. */
export const childDescriptors = {
  /** Pipe: JSON lines of the supervisor. */
  input: 3,
  /** SOCK_SEQPACKET pair: SCM_RIGHTS from the supervisor. */
  descriptors: 4,
  /** Pipe: JSON lines to the supervisor. */
  output: 5,
} as const

/** The supervisor sends every listener of the host, and certificates. */
const longestLine: Bytes = 16 * 2 ** 20

/**
 * Opens the channel.
 * @param onMessage gets each message; the supervisor is trusted
 * @param onGone called once, when the supervisor is gone
 */
export function openSupervisorChannel(
  onMessage: (message: unknown) => void,
  onGone: () => void,
): JsonLineChannel {
  return new JsonLineChannel({
    input: new Socket({ fd: childDescriptors.input, readable: true, writable: false }),
    output: new Socket({ fd: childDescriptors.output, readable: false, writable: true }),
    longestLine,
    clock: systemClock,
    isTrusted: true,
    onValue: onMessage,
    onEnd: onGone,
  })
}
