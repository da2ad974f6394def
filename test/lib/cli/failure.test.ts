import t from 'tap'
import { failure, UsageError } from '../../../lib/cli/failure.ts'
import { ConfigError } from '../../../lib/config/config-error.ts'
import { AdminUnreachableError } from '../../../lib/http/admin-client.ts'

const called = {
  program: 'overlapd-proxy',
  command: 'list',
  commands: ['serve', 'check', 'list', 'reference'],
}

t.test('failure() reports what is wrong once, and which command helps', async (t) => {
  const missing = Object.assign(new Error('connect ENOENT /run/x.sock'), { code: 'ENOENT' })
  t.strictSame(failure(called, new AdminUnreachableError('/run/x.sock', missing)), {
    exitCode: 1,
    text: 'overlapd-proxy: Cannot get an answer from "/run/x.sock": the socket does not exist; is the daemon running? (ENOENT)\nTry "overlapd doctor".\n',
  })
  t.strictSame(failure(called, new UsageError('give one name')), {
    exitCode: 2,
    text: 'overlapd-proxy: give one name\nTry "overlapd-proxy list --help".\n',
  })
  t.strictSame(failure({ ...called, command: undefined }, new UsageError('give one name')), {
    exitCode: 2,
    text: 'overlapd-proxy: give one name\nTry "overlapd-proxy --help".\n',
  })
})

t.test(
  'failure() names the command that shows the configuration, and never the one that failed',
  async (t) => {
    const broken = new ConfigError([{ path: 'workers', message: '0 is too few' }])
    t.match(failure(called, broken), { exitCode: 2, text: /\nTry "overlapd-proxy check"\.\n$/ })
    t.match(
      failure({ ...called, command: 'check' }, broken).text,
      /"overlapd-proxy reference"\.\n$/,
    )
    t.match(failure({ ...called, commands: [] }, broken).text, /"overlapd doctor"\.\n$/)
  },
)
