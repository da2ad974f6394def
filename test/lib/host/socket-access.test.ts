import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { whyCannotOpen } from '../../../lib/host/socket-access.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const stranger = { userId: 54_321, groupIds: new Set([54_321]), capabilities: 0n }

t.test('whyCannotOpen() looks at owner, group and others, on the whole way', async (t) => {
  const folder = scratchFolder(t)
  chmodSync(folder, 0o755)
  mkdirSync(`${folder}/run`)
  const socket = `${folder}/run/a.sock`
  writeFileSync(socket, '')
  chmodSync(socket, 0o660)
  const { uid, gid } = statSync(socket)
  t.match(whyCannotOpen(socket, stranger), `a.sock is 0660, owner ${uid}, group ${gid}`)
  t.equal(whyCannotOpen(socket, { ...stranger, groupIds: new Set([gid]) }), undefined)
  t.equal(whyCannotOpen(socket, { ...stranger, userId: uid }), undefined)
  t.equal(whyCannotOpen(socket, { ...stranger, capabilities: 1n << 1n }), undefined)
  chmodSync(socket, 0o666)
  t.equal(whyCannotOpen(socket, stranger), undefined)
  chmodSync(`${folder}/run`, 0o700)
  t.match(whyCannotOpen(socket, stranger), '/run is 0700')
  t.throws(() => whyCannotOpen(`${folder}/none.sock`, { ...stranger, userId: uid }), /ENOENT/)
})
