import t from 'tap'
import { checkDaemon, configFilesOf, optionsOf } from '../../../lib/operator/daemon-check.ts'

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

t.test('configFilesOf() are those that the daemon was started with', async (t) => {
  const files = (...words: readonly string[]) =>
    configFilesOf('proxy', {
      pid: 1,
      userId: 0,
      groupIds: new Set([0]),
      capabilities: 0n,
      command: ['node', '/usr/lib/overlapd/proxy/main.js', ...words],
    })
  const usual = ['/etc/overlapd/proxy.yaml']

  t.strictSame(configFilesOf('proxy', undefined), usual)
  t.strictSame(files('serve', '--set', 'log.level=debug'), usual)
  t.strictSame(files('serve', '-c', '/a.yaml', '--set', 'x=1', '--config=/b.yaml'), [
    '/a.yaml',
    '/b.yaml',
  ])
  t.strictSame(files('--config', '/a.yaml'), ['/a.yaml'])
})
