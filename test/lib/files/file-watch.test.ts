import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { FileWatch } from '../../../lib/files/file-watch.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { makeWatchedFile } from '../../support/static-file.ts'

t.test('FileWatch looks once for many events, and in a busy folder too', async (t) => {
  const watched = await makeWatchedFile()
  const clock = new FakeClock()
  let looks = 0
  const fileWatch = new FileWatch({
    file: watched.file,
    clock,
    debounce: 50,
    pollInterval: 3_600_000,
    look: () => {
      looks += 1
      return Promise.resolve()
    },
  })
  const own = watch(watched.folder)
  t.teardown(async () => {
    own.close()
    await fileWatch.close()
    await fileWatch.close()
    await watched.remove()
  })
  fileWatch.start()
  /** Writes something beside the file and waits until the folder has told of it. */
  const disturb = async (): Promise<void> => {
    const told = once(own, 'change')
    await writeFile(join(watched.folder, 'noise'), 'noise')
    await told
    await clock.advance(0)
  }
  await disturb()
  await clock.untilWaiting(2)
  await disturb()
  t.equal(looks, 0, 'not before it is quiet')
  await clock.advance(50)
  t.equal(looks, 1)
  for (let time = 0; time < 40; time += 1) {
    await disturb()
    await clock.advance(25)
  }
  t.ok(looks >= 2, 'not put off for ever')
  t.ok(looks <= 4, 'and not for each event')
})

t.test('FileWatch waits for a look that is under way, and never begins two', async (t) => {
  const watched = await makeWatchedFile()
  let running = 0
  let most = 0
  let release: () => void = () => undefined
  const fileWatch = new FileWatch({
    file: join(watched.folder, 'nowhere', 'ports.yaml'),
    clock: new FakeClock(),
    debounce: 50,
    pollInterval: 1_000,
    look: () => {
      running += 1
      most = Math.max(most, running)
      return new Promise((resolve) => {
        release = () => {
          running -= 1
          resolve()
        }
      })
    },
  })
  t.teardown(() => watched.remove())
  fileWatch.start()
  const both = [fileWatch.lookNow(), fileWatch.lookNow()]
  release()
  await both[0]
  t.equal(running, 1, 'the second began when the first had ended')
  const closed = fileWatch.close()
  release()
  await Promise.all([...both, closed])
  t.equal(most, 1)
})

t.test('FileWatch looks every second while its folder cannot be watched', async (t) => {
  const watched = await makeWatchedFile()
  const folder = join(watched.folder, 'later')
  const clock = new FakeClock()
  let looks = 0
  const fileWatch = new FileWatch({
    file: join(folder, 'ports.yaml'),
    clock,
    debounce: 50,
    pollInterval: 3_600_000,
    look: () => {
      looks += 1
      return Promise.resolve()
    },
  })
  t.teardown(async () => {
    await fileWatch.close()
    await watched.remove()
  })
  fileWatch.start()
  await clock.advance(1_000)
  t.equal(looks, 1)
  await mkdir(folder)
  await clock.untilWaiting(1)
  await clock.advance(1_000)
  t.equal(looks, 2, 'finds the folder')
  await clock.untilWaiting(1)
  await clock.advance(10_000)
  t.equal(looks, 2, 'and waits for its reports from then on')
})
