import { EventEmitter } from 'node:events'
import t from 'tap'
import { uncaught } from '../../../lib/runtime/defects.ts'

t.test('what was not caught is reported with a request for a report, each of it', async (t) => {
  const source = new EventEmitter()
  const reports: Record<string, unknown>[] = []
  const ended = uncaught((fields) => reports.push(fields), source)
  source.emit('uncaughtException', new TypeError('no such thing'))
  await ended
  source.emit('unhandledRejection', 'late')
  t.match(reports, [
    { cause: /no such thing/, stack: /defects\.test/, action: /report/ },
    { cause: /late/, stack: undefined, action: /report/ },
  ])
})
