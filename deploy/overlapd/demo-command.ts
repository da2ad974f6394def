import { once } from 'node:events'
import { systemClock } from '../../lib/runtime/clock.ts'
import { stopSignal } from '../../lib/runtime/lifecycle.ts'
import type { CommandSpec } from '../../lib/cli/command.ts'

/** `demo`: two instances with one address, each with its own metadata, on this machine. */
export function demoCommand(): CommandSpec {
  return {
    name: 'demo',
    summary: 'build overlapping networks here and serve metadata to their guests',
    description: `Builds networks with the same subnet and guests with the same address on this machine, starts the proxy, the
agent and a compute metadata API for development, lets each guest fetch its metadata and prints who got what.
Keeps serving until Ctrl-C and leaves nothing behind. Uses real network namespaces as root, or where the kernel
lets a user have them; elsewhere two listeners on loopback, and prints that.`,
    options: [
      { flags: '--once', help: 'verify and end: 0 when each guest got its own metadata' },
      {
        flags: '--networks <n>',
        help: 'networks in all; from three on, one has no router',
        defaultText: '3',
      },
      { flags: '--guests <n>', help: 'guests in all', defaultText: 'one a network' },
      { flags: '--state <file>', help: 'write what was built as JSON, for other tools' },
      { flags: '--json', help: 'print JSON instead of a table' },
    ],
    examples: [
      ['overlapd demo', 'look around until Ctrl-C'],
      ['overlapd demo --once', 'does it work here?'],
      ['overlapd demo --networks 100 --guests 300 --state demo.json', 'a larger one'],
    ],
    exitCodes: [
      [0, 'each guest got its own metadata and nothing else'],
      [1, 'one did not, or the demo could not be built'],
      [2, 'called wrongly'],
    ],
    async run({ options, terminal }) {
      const state = options.text('state')
      const guests = options.integer('guests', { min: 1, max: 100_000 })
      const networks = options.integer('networks', { min: 1, max: 4_000 })
      // Loaded by this command alone: no other one needs both sides.
      const { runDemo } = await import('../demo/demo.ts')
      return await runDemo({
        once: options.flag('once'),
        json: options.flag('json'),
        ...(guests !== undefined && { guests }),
        ...(networks !== undefined && { networks }),
        ...(state !== undefined && { state }),
        environment: terminal.environment,
        out: (text) => terminal.out(text),
        progress: (text) => terminal.error(`overlapd: ${text}\n`),
        // Whoever has seen enough, as head has, wants it gone.
        stopped: Promise.race([stopSignal(systemClock), once(terminal.closed, 'abort')]),
      })
    },
  }
}
