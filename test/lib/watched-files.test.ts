import { writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLogger } from '../../lib/log.ts'
import { WatchedFiles } from '../../lib/watched-files.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { scratchFolder } from '../support/scratch-folder.ts'

interface Subject {
  readonly watched: WatchedFiles<string>
  readonly changes: string[]
  readonly write: (text: string) => void
  readonly clock: FakeClock
}

/** One file that must hold a line of its own; `bad` cannot be read, `unused` cannot be used. */
function subject(t: Test): Subject {
  const file = join(scratchFolder(t), 'value')
  const write = (text: string): void => writeFileSync(file, text)
  write('first')
  const clock = new FakeClock()
  const changes: string[] = []
  const watched = new WatchedFiles({
    what: 'a value',
    files: [file],
    clock,
    logger: silentLogger,
    read: () => {
      const text = readFileSync(file, 'utf8')
      if (text === 'bad') throw new Error('this is bad')
      return text
    },
    isSame: (before, now) => before === now,
    onChange: (value) => {
      if (value === 'unused') throw new Error('this cannot be used')
      changes.push(value)
    },
  })
  t.teardown(() => watched.close())
  return { watched, changes, write, clock }
}

t.test('WatchedFiles tells of a new version once', async (t) => {
  const { watched, changes, write, clock } = subject(t)
  t.equal(watched.current, 'first')
  const before = watched.loadedAt

  clock.jumpWallTime(1_000)
  write('second')
  watched.reload()
  watched.reload()

  t.strictSame(changes, ['second'])
  t.equal(watched.current, 'second')
  t.equal(watched.loadedAt, before + 1_000)
})

t.test(
  'WatchedFiles keeps the old version and says why while the files cannot be used',
  async (t) => {
    const { watched, changes, write } = subject(t)

    for (const [text, why] of [
      ['bad', 'this is bad'],
      ['unused', 'this cannot be used'],
    ] as const) {
      write(text)
      watched.reload()
      t.equal(watched.refusal, why)
      t.equal(watched.current, 'first')
    }
    t.strictSame(changes, [])

    write('third')
    watched.reload()
    t.equal(watched.refusal, undefined)
    t.equal(watched.current, 'third')
  },
)

t.test('WatchedFiles needs a first version', async (t) => {
  const options = {
    what: 'a value',
    files: [],
    clock: new FakeClock(),
    logger: silentLogger,
    isSame: () => true,
    onChange: () => undefined,
  }
  t.throws(
    () =>
      new WatchedFiles({
        ...options,
        read: (): string => {
          throw new Error('nothing there')
        },
      }),
    { message: 'nothing there' },
  )
})
