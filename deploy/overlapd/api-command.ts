import { daemons } from '../../lib/cli/admin-sockets.ts'
import { UsageError, type CommandSpec } from '../../lib/cli/command.ts'

/** `api`: what a daemon answers on its admin socket, for programs. */
export function apiCommand(): CommandSpec {
  return {
    name: 'api',
    summary: 'describe the admin socket of a daemon as OpenAPI',
    description: `Prints the OpenAPI description of everything that a daemon answers on its admin socket: endpoints, queries, bodies, and the
form of each answer. It is made from the schemas that the tests hold the daemons to.`,
    arguments: [{ name: '<daemon>', help: 'proxy or agent' }],
    examples: [
      ['overlapd api agent > agent.json', 'for generators of clients'],
      ['overlapd api proxy | jq .paths', 'which endpoints are there?'],
    ],
    async run({ arguments: [named], terminal }) {
      const daemon = daemons.find((one) => one === named)
      if (daemon === undefined) throw new UsageError('name proxy or agent')
      // The schemas are read by this command alone.
      const { openApi } = await import('../../lib/operator/api/openapi.ts')
      terminal.out(`${JSON.stringify(openApi(daemon), undefined, 2)}\n`)
      return 0
    },
  }
}
