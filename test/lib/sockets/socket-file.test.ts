import { once } from 'node:events'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import {
  isForRootAlone,
  listenOnSocketFile,
  socketModeBits,
} from '../../../lib/sockets/socket-file.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { proxyAccount } from '../../../lib/files/accounts.ts'

const own = { userId: 1000, groupId: 1000 }
/** Mode, user, group, permission bits; a foreign user is one with another number than ours. */
const modes = [
  ['user', undefined, undefined, 0o644],
  ['group', undefined, undefined, 0o664],
  ['all', undefined, undefined, 0o666],
  ['deduce', undefined, undefined, 0o644],
  ['deduce', '', '', 0o644],
  ['deduce', '0', undefined, 0o644],
  ['deduce', 'root', undefined, 0o644],
  ['deduce', '1000', undefined, 0o644],
  ['deduce', '1001', undefined, 0o664],
  ['deduce', '1001', '1000', 0o664],
  ['deduce', '1001', '1001', 0o666],
  [0o640, '1001', '1001', 0o640],
] as const

t.test('socketModeBits() means by its words what Neutron means', async (t) => {
  for (const [mode, user, group, bits] of modes) {
    t.equal(socketModeBits({ mode, user, group }, own), bits, `${mode} ${user} ${group}`)
  }
})

t.test('listenOnSocketFile() makes the folder and leaves nothing but the socket', async (t) => {
  const folder = join(scratchFolder(t), 'a', 'b')
  const path = join(folder, 'agent.sock')
  const server = createServer((socket) => socket.end('hello'))
  t.teardown(() => server.close())

  const remove = await listenOnSocketFile(server, { path, mode: 0o620, backlog: 16 })

  t.equal(statSync(folder).mode & 0o777, 0o755)
  t.equal(statSync(path).mode & 0o777, 0o620)
  t.strictSame(readdirSync(folder), ['agent.sock'])
  const [greeting] = (await once(connect(path), 'data')) as [Buffer]
  t.equal(greeting.toString(), 'hello')
  remove()
  t.notOk(existsSync(path))
  remove()
})

const skip = process.getuid?.() === 0 ? false : 'only root may give a file away'
t.test('listenOnSocketFile() gives the socket away when it may', { skip }, async (t) => {
  const path = join(scratchFolder(t), 'agent.sock')
  const server = createServer()
  t.teardown(() => server.close())
  await listenOnSocketFile(server, { path, mode: 0o660, user: '12', group: '34', backlog: 16 })
  const { uid, gid } = statSync(path)
  t.strictSame([uid, gid], [12, 34])
})

t.test('isForRootAlone() sees what keeps the proxies out', { skip }, async (t) => {
  const cases = [
    [{ mode: 'deduce' }, true],
    [{ mode: 'user', user: 'nobody' }, true],
    [{ mode: 0o660, group: '0' }, true],
    [{ mode: 0o660, group: '34' }, false],
    [{ mode: 0o600, user: '12' }, false],
    [{ mode: 'deduce', user: '12', group: '34' }, false],
    [{ mode: 'all' }, false],
  ] as const
  for (const [options, expected] of cases) {
    const path = join(scratchFolder(t), 'agent.sock')
    const server = createServer()
    t.teardown(() => server.close())
    await listenOnSocketFile(server, { path, backlog: 16, ...options })
    t.equal(isForRootAlone(path), expected, JSON.stringify(options))
  }
})

t.test('listenOnSocketFile() lets the workers of the proxy in', { skip }, async (t) => {
  const folder = scratchFolder(t)
  const groupFile = join(folder, 'group')
  writeFileSync(groupFile, 'root:x:0:\noverlapd-proxy:x:56:overlapd\n')
  const groupOf = async (name: string, more: object, file = groupFile): Promise<number> => {
    const server = createServer()
    t.teardown(() => server.close())
    const path = join(folder, name)
    await listenOnSocketFile(server, { path, mode: 0o660, backlog: 16, ...more }, file)
    return statSync(path).gid
  }

  t.equal(await groupOf('theirs', { usualGroup: proxyAccount }), 56)
  t.equal(await groupOf('named', { usualGroup: proxyAccount, group: '34' }), 34)
  t.equal(await groupOf('other', {}), process.getegid?.())
  t.equal(
    await groupOf('unpacked', { usualGroup: proxyAccount }, join(folder, 'none')),
    process.getegid?.(),
  )
})

t.test('listenOnSocketFile() replaces a dead socket and respects a living one', async (t) => {
  const path = join(scratchFolder(t), 'agent.sock')
  const options = { path, mode: 0o600, backlog: 16 }
  const first = createServer()
  await listenOnSocketFile(first, options)
  const second = createServer()
  await t.rejects(listenOnSocketFile(second, options), { message: /another process answers there/ })
  first.close()
  await once(first, 'close')
  t.ok(existsSync(path), 'as after a crash')

  const remove = await listenOnSocketFile(second, options)
  t.teardown(() => second.close())
  const third = createServer()
  await t.rejects(listenOnSocketFile(third, options))
  remove()
})

t.test('listenOnSocketFile() does not remove another’s socket', async (t) => {
  const path = join(scratchFolder(t), 'agent.sock')
  const server = createServer()
  t.teardown(() => server.close())
  const remove = await listenOnSocketFile(server, { path, mode: 0o600, backlog: 16 })
  remove()
  writeFileSync(path, 'another')
  remove()
  t.ok(existsSync(path))
})

t.test('listenOnSocketFile() refuses what is no socket, and unknown accounts', async (t) => {
  const folder = scratchFolder(t)
  const path = join(folder, 'file')
  writeFileSync(path, 'precious')
  await t.rejects(listenOnSocketFile(createServer(), { path, mode: 0o600, backlog: 1 }), {
    message: /is no socket/,
  })
  const other = join(folder, 'agent.sock')
  const user = 'nobody-has-this-name'
  await t.rejects(
    listenOnSocketFile(createServer(), { path: other, mode: 0o600, user, backlog: 1 }),
    { message: /user "nobody-has-this-name" is unknown/ },
  )
  t.notOk(existsSync(other))
})
