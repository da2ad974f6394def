import { userInfo } from 'node:os'
import { adminAddress, adminOption } from '../../lib/cli/admin-sockets.ts'
import { UsageError, type CommandSpec } from '../../lib/cli/command.ts'
import { isMapping } from '../../lib/runtime/mapping.ts'
import { AdminUnreachableError, requestAdminJson } from '../../lib/http/admin-client.ts'

/** `unseal`: serve the sealed documents of an instance again. */
export function unsealCommand(): CommandSpec {
  return {
    name: 'unseal',
    summary: 'serve the sealed user data, vendor data and password of an instance again',
    description: `Has the agent of this host forget that the documents of an instance are sealed. Their window begins anew with the next
fetch, or with the next request of the instance, as the policy has it. Do that before a rebuild. The agent logs who did it and why.`,
    arguments: [{ name: '<instance>', help: 'id of the instance' }],
    options: [
      { flags: '--why <text>', help: 'the reason, for the log of the agent; must be given' },
      adminOption('agent'),
    ],
    examples: [['sudo overlapd unseal 4f7e0b… --why rebuild', 'before the instance is rebuilt']],
    exitCodes: [
      [0, 'the documents are served again'],
      [1, 'the agent has counted no window for the instance'],
      [2, 'called wrongly, or the agent does not answer'],
    ],
    async run(call) {
      const {
        arguments: [instance = ''],
        options,
        terminal,
      } = call
      const why = options.text('why')
      if (why === undefined) throw new UsageError('--why must be given: the agent logs it')
      const who = terminal.environment['SUDO_USER'] ?? userInfo().username
      const address = adminAddress('agent', call)
      const json = { instance, who, why }
      const { status, value } = await requestAdminJson(address, '/unseal', { json })
      const answer = isMapping(value) ? value : {}
      if (status === 400) throw new UsageError(String(answer['message']))
      if (status !== 200) throw new AdminUnreachableError(address, new Error(`status ${status}`))
      const isUnsealed = answer['unsealed'] === true
      terminal.out(
        isUnsealed
          ? 'Unsealed: the window begins anew.\n'
          : 'Nothing to unseal: this agent has counted no window for the instance.\n',
      )
      return isUnsealed ? 0 : 1
    },
  }
}
