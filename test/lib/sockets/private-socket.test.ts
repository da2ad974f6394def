import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import {
  bindPrivately,
  clearStaleSocket,
  isAnswered,
  listenPrivately,
} from '../../../lib/sockets/private-socket.ts'
import { leaveSocketFile } from '../../support/left-socket-file.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

t.test(
  'listenPrivately() replaces a socket that a dead process left, with the requested mode',
  async (t) => {
    const path = `${scratchFolder(t)}/a.sock`
    await leaveSocketFile(path)
    t.equal(await isAnswered(path), false)
    const server = createServer()
    t.teardown(() => server.close())
    await listenPrivately(server, path, 0o640)
    t.equal(statSync(path).mode & 0o777, 0o640)
    t.equal(await isAnswered(path), true)
    await t.rejects(listenPrivately(createServer(), path), {
      message: /another process answers there/,
    })
  },
)

t.test('bindPrivately() gives the umask back, whatever happens', async (t) => {
  const before = process.umask()
  t.equal(
    bindPrivately(() => process.umask(), 0o600),
    0o177,
  )
  t.throws(() =>
    bindPrivately(() => {
      throw new Error('in use')
    }),
  )
  t.equal(process.umask(), before)
})

t.test('clearStaleSocket() removes nothing that is no socket', async (t) => {
  const folder = scratchFolder(t)
  const file = `${folder}/data`
  writeFileSync(file, 'precious')
  await t.rejects(clearStaleSocket(file), { message: /exists and is no socket/ })
  t.ok(existsSync(file))
  await clearStaleSocket(`${folder}/none`)
})
