import { statSync } from 'node:fs'
import { hostname } from 'node:os'
import { adminAddress, adminOption, daemons } from '../../lib/cli/admin-sockets.ts'
import type { CommandSpec } from '../../lib/cli/command.ts'
import { helpHint } from '../../lib/cli/failure.ts'
import { listenersIn } from '../../lib/host/port-listeners.ts'
import { terminalText } from '../../lib/observe/text-table.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { stopSignal } from '../../lib/runtime/lifecycle.ts'

/** `ui`: one page for this host. */
export function uiCommand(): CommandSpec {
  return {
    name: 'ui',
    summary: 'show this host in a browser, on loopback alone',
    description: `Serves a page about both daemons of this host on 127.0.0.1 until Ctrl-C, and prints its link. The page shows health,
networks, guests that share an address, live requests, refusals and the last hour; it changes nothing. The link works once
and opens the page for one browser; no other browser can read it. From another machine forward
the port over ssh.`,
    options: [
      { flags: '--port <n>', help: 'TCP port on 127.0.0.1', defaultText: 'any that is free' },
      ...daemons.map(adminOption),
    ],
    examples: [
      ['sudo overlapd ui', 'prints a link: open it in a browser of this machine'],
      ['sudo overlapd ui --port 8008', 'for a browser elsewhere: ssh -L 8008:127.0.0.1:8008 HOST'],
    ],
    exitCodes: [
      [0, 'ended by Ctrl-C'],
      [1, 'the port could not be used'],
      [2, 'called wrongly'],
    ],
    async run(call) {
      const tcpPort = call.options.integer('port', { min: 1, max: 65_535 })
      const addresses = { proxy: adminAddress('proxy', call), agent: adminAddress('agent', call) }
      // Half of it is the page: loaded by this command alone.
      const { servePage } = await import('../page/serve-page.ts')
      const served = servePage({ addresses, tcpPort, hostName: hostname() })
      const page = await served.catch((cause: unknown) => portProblem(tcpPort, cause))
      if (typeof page === 'string') {
        call.terminal.error(
          `overlapd: ${page}\n${helpHint({ program: 'overlapd', command: 'ui' })}`,
        )
        return 1
      }
      call.terminal.out(`${page.link}\n`)
      call.terminal.error('Open this link in a browser. It works once. Ctrl-C ends the page.\n')
      if (call.terminal.environment['SSH_CONNECTION'] !== undefined) {
        const { port } = new URL(page.link)
        const forward = `ssh -L ${port}:127.0.0.1:${port} ${hostname()}`
        call.terminal.error(`For a browser on your own machine, first run there: ${forward}\n`)
      }
      await stopSignal(systemClock)
      await page.close()
      return 0
    },
  }
}

/** @returns what is wrong with a port, and what to do. @throws what is no fault of the port */
function portProblem(tcpPort: number | undefined, cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException
  const port = `TCP port ${String(tcpPort)} of 127.0.0.1`
  const another = 'give --port another number, or none for any that is free'
  if (code === 'EACCES') return `${port} is for root alone: ${another}.`
  if (code !== 'EADDRINUSE' || tcpPort === undefined) throw cause
  const [holder] = listenersIn(statSync('/proc/self/ns/net').ino, tcpPort)
  const who = holder === undefined ? 'a process that this user cannot see' : `process ${holder}`
  return `${port} is held by ${terminalText(who)}: ${another}.`
}
