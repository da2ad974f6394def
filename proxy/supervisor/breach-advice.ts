/** What does an operator read who wonders why a worker was killed? */
import type { WorkerBreach } from './worker-process.ts'

/** What to look at, for each breach. */
export const breachAdvice: Readonly<Record<WorkerBreach, string>> = {
  blocking:
    'One of the workers changed sockets so that accepting waits in all of them. Look for a guest that has broken into it, and report a bug.',
  nonsense:
    'It sent what no worker sends. Look for a guest that has broken into it, and report a bug.',
  flood:
    'It sent more than any worker has to report. Look for a guest that has broken into it, and report a bug.',
  unread: 'It did not read what it was sent. Report a bug.',
  silent:
    'It did not answer for 5 s. Look at the load of the host, and whether the process was stopped.',
}
