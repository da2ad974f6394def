import { createServer } from 'node:net'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  commandLineOf,
  controlGroupsOf,
  descriptorsOf,
  openFiles,
  ownCapabilities,
  processFacts,
  processLink,
  processNumbers,
  processStatus,
  socketsOf,
  startTimeOf,
} from '../../../lib/host/process-facts.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { remoteDate } from '../../../lib/host/remote-date.ts'

t.test('processFacts() and openFiles() give of a process what the kernel knows', async (t) => {
  const facts = processFacts(process.pid)
  t.equal(facts?.userId, process.geteuid?.())
  t.ok(facts?.groupIds.has(process.getegid?.() ?? -1))
  t.match(facts?.command[0], /node/)
  t.equal(processFacts(2 ** 30), undefined)
  t.ok(processNumbers().includes(process.pid))
  const files = openFiles(process.pid)
  t.ok(files !== undefined && files.open > 2 && files.limit > files.open)
  t.equal(openFiles(2 ** 30), undefined)
  t.match(processLink(process.pid, 'ns/net'), /^net:\[\d+\]$/)
  t.equal(processLink(process.pid, 'none'), undefined)
})

t.test('processFacts() makes no group of the line below an account without groups', async (t) => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, '7'))
  const lines = ['Uid:\t9\t9\t9\t9', 'Gid:\t8\t8\t8\t8', 'Groups:\t ', 'NStgid:\t7', 'CapEff:\t0']
  writeFileSync(join(folder, '7', 'status'), `${lines.join('\n')}\n`)
  writeFileSync(join(folder, '7', 'cmdline'), 'x\0')
  t.strictSame([...(processFacts(7, folder)?.groupIds ?? [])], [8])
})

t.test('startTimeOf() stays the same for a process, and is none without one', async (t) => {
  t.match(startTimeOf(process.pid), /^\d+$/)
  t.equal(startTimeOf(process.pid), startTimeOf(process.pid))
  t.equal(startTimeOf(0x7ffffff), undefined)
})

t.test('commandLineOf() gives the words, and none for a process that is not there', async (t) => {
  t.match(commandLineOf(process.pid)[0], /node/)
  t.same(commandLineOf(0x7ffffff), [])
})

t.test('processStatus() and ownCapabilities() read what the kernel shows', async (t) => {
  t.match(processStatus(process.pid), { parent: process.ppid, isZombie: false })
  t.equal(processStatus(process.pid)?.userIds[1], process.geteuid?.())
  t.equal(processStatus(2 ** 30), undefined)
  t.equal(controlGroupsOf(2 ** 30), '')
  t.equal(ownCapabilities(), processFacts(process.pid)?.capabilities)
})

t.test('descriptorsOf() and socketsOf() name what each descriptor is', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const sockets = descriptorsOf(process.pid).filter(([, link]) => /^socket:\[\d+\]$/.test(link))
  const [[fd, link] = [-1, '']] = sockets
  t.equal(processLink('self', `fd/${fd}`), link)
  t.ok(socketsOf(process.pid)?.includes(link.slice('socket:['.length, -1)))
  t.equal(processLink('self', 'fd/1000000'), undefined)
  t.throws(() => descriptorsOf(2 ** 22 + 1), { code: 'ENOENT' })
  t.equal(socketsOf(2 ** 22 + 1), undefined)
})

t.test('remoteDate() is undefined for whoever does not answer', async (t) => {
  t.equal(await remoteDate('http://127.0.0.1:1/', 1_000), undefined)
  t.equal(await remoteDate('https://127.0.0.1:1/', 1_000), undefined)
  t.equal(await remoteDate('none', 1_000), undefined)
})
