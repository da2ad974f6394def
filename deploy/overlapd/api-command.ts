import { daemons } from '../../lib/cli/admin-sockets.ts'
import { UsageError, type CommandSpec } from '../../lib/cli/command.ts'

/** `api`: what a daemon answers on its admin socket, for programs. */
export function apiCommand(): CommandSpec {
  return {
    name: 'api',
    summary: 'describe what daemons and commands answer to programs',
    description: `Prints the OpenAPI description of everything that a daemon answers on its admin socket: endpoints, queries, bodies, and the
form of each answer. Or prints the JSON Schema of what each command prints with --json. Both are made from the schemas
that the tests hold daemons and commands to.`,
    arguments: [{ name: '<whose>', help: 'proxy, agent, or commands' }],
    examples: [
      ['overlapd api agent > agent.json', 'for generators of clients'],
      ['overlapd api proxy | jq .paths', 'which endpoints are there?'],
      ['overlapd api commands', 'what does --json print?'],
    ],
    async run({ arguments: [named], terminal }) {
      const daemon = daemons.find((one) => one === named)
      if (daemon === undefined && named !== 'commands') {
        throw new UsageError('name proxy, agent, or commands')
      }
      // The schemas are read by this command alone.
      const { commandSchemas, openApi } = await import('../../lib/operator/api/openapi.ts')
      const described = daemon === undefined ? commandSchemas() : openApi(daemon)
      terminal.out(`${JSON.stringify(described, undefined, 2)}\n`)
      return 0
    },
  }
}
