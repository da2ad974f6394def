import t from 'tap'
import { LogDestination, type LineSink } from '../../../lib/runtime/log-destination.ts'

class Sink implements LineSink {
  readonly lines: string[] = []
  failure: Error | undefined

  write(line: string): void {
    if (this.failure !== undefined) throw this.failure
    this.lines.push(line)
  }
}

const gap = (lines: number, cause: string): string => `gap of ${lines}: ${cause}\n`

t.test(
  'LogDestination drops what cannot be written, and reports the gap once there is room',
  async (t) => {
    const sink = new Sink()
    const destination = new LogDestination(sink, gap)
    destination.write('one\n')
    sink.failure = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    destination.write('two\n')
    destination.write('three\n')
    sink.failure = undefined
    destination.write('four\n')
    destination.write('five\n')
    t.strictSame(sink.lines, [
      'one\n',
      'gap of 2: no space left on device (ENOSPC)\n',
      'four\n',
      'five\n',
    ])
  },
)

t.test(
  'LogDestination counts on when the line about the gap does not go through either',
  async (t) => {
    const sink = new Sink()
    const destination = new LogDestination(sink, gap)
    sink.failure = new Error('full')
    for (const line of ['a\n', 'b\n', 'c\n']) destination.write(line)
    sink.failure = undefined
    destination.write('d\n')
    t.strictSame(sink.lines, ['gap of 3: full\n', 'd\n'])
  },
)
