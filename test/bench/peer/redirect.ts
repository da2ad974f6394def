import { inParallel, runCommand } from '../../../deploy/demo/run-command.ts'
import type { DemoNetwork } from '../../../deploy/demo/topology.ts'
import { l3AgentRules } from '../../openstack/guest-networks.ts'

/** Networks behind a router: others have the metadata address itself. */
export function routed(networks: readonly DemoNetwork[]): readonly DemoNetwork[] {
  return networks.filter(({ routerId }) => routerId !== undefined)
}

/** Adds or deletes the rules with which the L3 agent leads guests to TCP port 9697 of their router's namespace. */
export async function redirect(
  networks: readonly DemoNetwork[],
  action: '-A' | '-D',
): Promise<void> {
  await inParallel(routed(networks), 2, async ({ netns }) => {
    for (const rule of l3AgentRules(action)) {
      await runCommand('ip', ['netns', 'exec', netns, ...rule])
    }
  })
}
