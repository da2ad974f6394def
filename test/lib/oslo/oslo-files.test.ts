import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { OsloFileError, readOsloFiles } from '../../../lib/oslo/oslo-files.ts'

t.test('readOsloFiles() keeps the order of files and sorts those of a folder', async (t) => {
  const folder = t.testdir({
    'one.ini': '[DEFAULT]\n',
    more: { 'b.conf': '[DEFAULT]\n', 'a.conf': '[DEFAULT]\n', 'c.ini': 'x', '.d.conf': 'x' },
  })
  const files = readOsloFiles([
    { kind: 'file', path: join(folder, 'one.ini') },
    { kind: 'directory', path: join(folder, 'more') },
  ])
  t.strictSame(
    files.map(({ file }) => basename(file)),
    ['one.ini', 'a.conf', 'b.conf'],
  )
})

t.test('readOsloFiles() refuses what cannot be read as text', async (t) => {
  const folder = t.testdir({})
  const bytes = join(folder, 'bytes.ini')
  writeFileSync(bytes, Buffer.from([0x5b, 0xff, 0x5d]))
  mkdirSync(join(folder, 'folder.ini'))
  for (const path of [bytes, join(folder, 'absent.ini'), join(folder, 'folder.ini')]) {
    t.throws(() => readOsloFiles([{ kind: 'file', path }]), OsloFileError)
  }
  const nowhere = join(folder, 'nowhere')
  t.throws(() => readOsloFiles([{ kind: 'directory', path: nowhere }]), OsloFileError)
})
