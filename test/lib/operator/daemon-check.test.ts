import t from 'tap'
import { checkDaemon, optionsOf } from '../../../lib/operator/daemon-check.ts'

t.test('optionsOf() are those behind the program, whatever started it', async (t) => {
  const options = ['--config', '/etc/a.yaml', '--set', 'log.level=debug']
  for (const program of ['/usr/lib/overlapd/agent-side/main.js', '/usr/bin/overlapd-agent']) {
    t.strictSame(
      optionsOf(['node', '--max-old-space-size=64', program, 'serve', ...options]),
      options,
    )
    t.strictSame(optionsOf(['node', program, ...options]), options)
    t.strictSame(optionsOf(['node', program]), [])
  }
})

t.test('checkDaemon() runs nothing where the programs are not built', async (t) => {
  t.equal(await checkDaemon('agent', undefined, {}), undefined)
})
