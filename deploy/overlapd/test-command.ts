import { jsonText } from '../../lib/cli/json-output.ts'
import { adminOption, daemons } from '../../lib/cli/admin-sockets.ts'
import type { CommandSpec } from '../../lib/cli/command.ts'
import { netnsFolder } from '../../lib/config/defaults.ts'

/** `test`: sends a request as a guest would, and times each hop. */
export function testCommand(): CommandSpec {
  return {
    name: 'test',
    summary: 'send a request as one guest would, and print each hop with its milliseconds',
    description: `Sends one request for metadata from inside the network namespace of a guest, and prints where its time was spent:
network, redirect, worker, agent, directory, signature, compute. An instance whose namespace is not on this host, as
that of a virtual machine, cannot be made to send: then the request goes to the agent as a worker sends it, and the hops before it are
taken from the status of the proxy. Needs root, to enter the namespace.`,
    options: [
      { flags: '--netns <name>', help: "the guest's own namespace, or one that the proxy serves" },
      { flags: '--instance <id>', help: 'the instance; the answer must be its own metadata' },
      {
        flags: '--path <path>',
        help: 'what to request',
        defaultText: '/openstack/latest/meta_data.json',
      },
      {
        flags: '--netns-dir <folder>',
        help: 'where namespaces are named',
        defaultText: netnsFolder,
      },
      ...daemons.map(adminOption),
      { flags: '--json', help: 'print JSON' },
    ],
    examples: [
      ['sudo overlapd test --instance 6c4d…', 'does that instance get its metadata?'],
      ['sudo overlapd test --netns guest-1', 'from a namespace of your own'],
      ['sudo overlapd test --netns qrouter-5b2e…', 'for any guest behind that router'],
    ],
    exitCodes: [
      [0, 'the guest gets its own metadata'],
      [1, 'it does not, or the test could not be made; the output names the hop and what to do'],
      [2, 'called wrongly'],
    ],
    async run(call) {
      // Entering namespaces needs the proxy's system calls: loaded by this command alone.
      const { testGuest } = await import('../guest-test/test-guest.ts')
      const { testExitCode, testText } = await import('../guest-test/test-report.ts')
      const report = await testGuest(call)
      call.terminal.out(call.options.flag('json') ? jsonText(report) : testText(report))
      return testExitCode(report)
    },
  }
}
