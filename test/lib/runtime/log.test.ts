import t from 'tap'
import { createLogger, logLevels, silentLogger, type LogLevel } from '../../../lib/runtime/log.ts'
import { Secret } from '../../../lib/runtime/secret.ts'

function recorder(level: LogLevel = 'debug') {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, logger: createLogger({ component: 'agent', level, destination }) }
}

t.test(
  'createLogger() writes one JSON object a line, with words for levels and ISO times',
  async (t) => {
    const { lines, logger } = recorder()
    logger.info({ requestId: 'r-1', text: 'two\nlines' }, 'Request refused')
    t.equal(lines.length, 1)
    t.match(lines[0], /^\{[^\n]*\}\n$/)
    t.match(JSON.parse(lines[0]!), {
      level: 'info',
      component: 'agent',
      pid: process.pid,
      time: /^\d{4}-\d\d-\d\dT.*Z$/,
      requestId: 'r-1',
      message: 'Request refused',
    })
  },
)

t.test('createLogger() never prints fields that hold secrets or user data', async (t) => {
  const { lines, logger } = recorder()
  const names = ['secret', 'password', 'signature', 'authorization', 'token', 'userData']
  for (const name of names) {
    logger.info({ [name]: 'hunter2', inner: { [name]: 'hunter2' } }, 'Said')
    logger.child({ [name]: 'hunter2' }).info({}, 'Said by a child')
  }
  logger.info({ key: new Secret('hunter2'), list: [new Secret('hunter2')] }, 'Wrapped')
  t.equal(lines.length, names.length * 2 + 1)
  for (const line of lines) {
    t.notMatch(line, 'hunter2')
    t.match(line, '[redacted]')
  }
})

t.test('createLogger() keeps to its level, and children to their fields', async (t) => {
  const { lines, logger } = recorder('warn')
  const child = logger.child({ requestId: 'r-2' })
  child.debug({}, 'no')
  child.info({}, 'no')
  child.warn({}, 'yes')
  child.error({ part: 'x' }, 'yes')
  t.strictSame(
    lines.map((line) => (JSON.parse(line) as { level: string }).level),
    ['warn', 'error'],
  )
  t.match(JSON.parse(lines[1]!), { requestId: 'r-2', part: 'x' })
  t.strictSame(
    logLevels.map((level) => logger.isLevelEnabled(level)),
    [false, false, true, true],
  )
})

t.test('silentLogger writes nothing and has silent children', async (t) => {
  t.equal(silentLogger.child({}), silentLogger)
  t.equal(silentLogger.isLevelEnabled('error'), false)
  t.equal(silentLogger.error({}, 'x'), undefined)
})
