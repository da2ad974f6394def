import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readTokenKeys } from '../../../agent-side/shield/key-files.ts'
import { readOnce } from '../../../agent-side/shield/read-once.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const long = '0123456789abcdef0123456789abcdef'

t.test('readTokenKeys() takes files of long keys that their owner alone can open', async (t) => {
  const folder = scratchFolder(t)
  const write = (name: string, text: string, mode = 0o600): string => {
    const file = join(folder, name)
    writeFileSync(file, text)
    chmodSync(file, mode)
    return file
  }
  const first = write('first', `${long}\n`)
  const second = write('second', `${long}2`)
  t.strictSame(
    readTokenKeys([first, second]).map((key) => key.reveal()),
    [long, `${long}2`],
  )
  t.throws(() => readTokenKeys([write('short', 'short\n')]), /fewer than 32 characters/)
  t.throws(() => readTokenKeys([write('log', 'x'.repeat(5_000))]), /at most 4096 bytes/)
  t.throws(() => readTokenKeys([write('open', long, 0o644)]), /opened by others.*0644/)
  t.throws(() => readTokenKeys([first, write('copy', long)]), /holds the key of/)
  t.throws(() => readTokenKeys([join(folder, 'nowhere')]), /ENOENT/)
  t.throws(() => readTokenKeys([folder]), /not a file/)
})

t.test('readOnce() reads again after a change alone, and repeats what came of it', async (t) => {
  const file = join(scratchFolder(t), 'file')
  const outcomes: string[] = []
  let readings = 0
  const reading = readOnce(
    [file],
    () => {
      readings += 1
      if (readings === 1) throw new Error('not there yet')
      return { readings }
    },
    (outcome) => outcomes.push(outcome),
  )
  const read = (): unknown => reading.read()
  t.throws(read, /not there yet/)
  t.throws(read, /not there yet/)
  writeFileSync(file, 'x')
  const value = read()
  t.equal(read(), value)
  reading.forgetFailure()
  t.equal(read(), value, 'what was read well stays, as a key that is in no file')
  writeFileSync(file, 'longer')
  t.not(read(), value)
  t.strictSame(outcomes, ['refused', 'used', 'used'])
})

t.test('readOnce() opens a file again after a failure, when it is to forget it', async (t) => {
  const file = join(scratchFolder(t), 'file')
  writeFileSync(file, 'x')
  let isBroken = true
  const reading = readOnce(
    [file],
    () => {
      if (isBroken) throw new Error('too many open files')
      return 'read'
    },
    () => undefined,
  )
  t.throws(() => reading.read(), /too many/)
  isBroken = false
  t.throws(() => reading.read(), /too many/, 'the file has not changed')
  reading.forgetFailure()
  t.equal(reading.read(), 'read')
})
