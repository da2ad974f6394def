import { EventEmitter } from 'node:events'
import t from 'tap'
import { ignoreDebuggerSignal } from '../../../lib/runtime/no-debugger.ts'

t.test(
  'ignoreDebuggerSignal takes the signal from Node, and leaves all others alone',
  async (t) => {
    const signals = new EventEmitter()
    ignoreDebuggerSignal(signals as NodeJS.Process)
    t.strictSame(signals.eventNames(), ['SIGUSR1'])
    t.ok(signals.emit('SIGUSR1'))
  },
)
