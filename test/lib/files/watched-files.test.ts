import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLogger } from '../../../lib/runtime/log.ts'
import { WatchedFiles } from '../../../lib/files/watched-files.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

interface Subject {
  readonly watched: WatchedFiles<string>
  readonly clock: FakeClock
  readonly changes: string[]
  readonly log: string[]
  readonly write: (name: 'a' | 'b', text: string) => void
}

function subject(t: Test): Subject {
  const folder = scratchFolder(t)
  const clock = new FakeClock()
  const changes: string[] = []
  const log: string[] = []
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  write('a', '1')
  write('b', '1')
  const files = [join(folder, 'a'), join(folder, 'b')]
  const watched = new WatchedFiles({
    what: 'pair',
    files,
    clock,
    logger: createLogger({
      component: 'test',
      level: 'info',
      destination: { write: (line) => void log.push(line) },
    }),
    read: () => {
      const [a, b] = files.map((file) => readFileSync(file, 'utf8'))
      if (a !== b) throw new Error(`${a} does not fit ${b}`)
      return String(a)
    },
    isSame: (before: string, now: string) => before === now,
    onChange: (value) => {
      if (value === 'unusable') throw new Error('it cannot be used')
      changes.push(value)
    },
  })
  t.teardown(() => watched.close())
  return { watched, clock, changes, log, write }
}

t.test('WatchedFiles keeps the last version in which the files fit', async (t) => {
  const { watched, changes, log, write } = subject(t)
  write('a', '2')
  watched.reload()
  watched.reload()
  t.equal(watched.current, '1')
  t.equal(watched.refusal, '2 does not fit 1')
  t.equal(log.length, 1, 'told once')
  write('b', '2')
  watched.reload()
  t.equal(watched.current, '2')
  t.equal(watched.refusal, undefined)
  write('a', 'unusable')
  write('b', 'unusable')
  watched.reload()
  t.equal(watched.current, '2')
  t.equal(watched.refusal, 'it cannot be used')
  t.strictSame(changes, ['2'])
})

t.test('WatchedFiles sees what changed before it was started, and later', async (t) => {
  const { watched, clock, changes, write } = subject(t)
  write('a', '2')
  write('b', '2')
  watched.start()
  t.strictSame(changes, ['2'])
  clock.pass(5)
  write('a', '3')
  write('b', '3')
  while (changes.length < 2) await clock.advance(1_000)
  t.equal(watched.current, '3')
  t.equal(watched.loadedAt > Date.UTC(2026, 0, 1), true)
})

t.test('WatchedFiles throws when there is no first version', async (t) => {
  const { log } = subject(t)
  t.throws(
    () =>
      new WatchedFiles({
        what: 'nothing',
        files: [],
        clock: new FakeClock(),
        logger: createLogger({
          component: 'test',
          level: 'info',
          destination: { write: () => undefined },
        }),
        read: () => {
          throw new Error('none')
        },
        isSame: () => true,
        onChange: () => undefined,
      }),
    { message: 'none' },
  )
  t.strictSame(log, [])
})
