import t, { type Test } from 'tap'
import { createAdminApp } from '../../../lib/http/admin-app.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import { whyElsewhere } from '../../../lib/operator/daemons-here.ts'
import { madeHealth } from '../../support/made-health.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

async function startDaemon(t: Test, status: unknown): Promise<string> {
  const app = createAdminApp({
    health: () => madeHealth(),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    status: () => status,
    history: () => [],
  })
  const socket = `${scratchFolder(t)}/admin.sock`
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.teardown(() => serving.close())
  return socket
}

t.test(
  'an agent is elsewhere only where the proxy names agents of other hosts alone',
  async (t) => {
    const rows: readonly (readonly [string[], string | undefined])[] = [
      [['https://a:1', 'https://b:1'], 'not on this host; the proxy uses https://a:1, https://b:1'],
      [['https://a:1', '/run/agent.sock'], undefined],
      [[], undefined],
    ]
    for (const [agents, why] of rows) {
      const proxy = await startDaemon(t, { agents: agents.map((agent) => ({ agent })) })
      const gone = `${scratchFolder(t)}/none`
      t.equal(await whyElsewhere('agent', { proxy, agent: gone }), why)
      t.equal(
        await whyElsewhere('agent', { proxy, agent: proxy }),
        undefined,
        'its socket is there',
      )
      t.equal(await whyElsewhere('agent', { proxy: gone, agent: gone }), undefined)
    }
  },
)

t.test('a proxy is elsewhere only where the agent listens to no proxy of this host', async (t) => {
  const rows: readonly (readonly [string[], boolean])[] = [
    [['overlapd over TLS'], true],
    [['neutron ml2'], true],
    [['overlapd over TLS', 'overlapd'], false],
    [[], false],
  ]
  for (const [kinds, isElsewhere] of rows) {
    const listeners = kinds.map((kind) => ({ socket: '[::]:9699', kind }))
    const agent = await startDaemon(t, { listeners })
    const why = await whyElsewhere('proxy', { proxy: `${scratchFolder(t)}/none`, agent })
    t.equal(why !== undefined, isElsewhere, kinds.join())
  }
})
