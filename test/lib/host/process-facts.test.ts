import { createServer } from 'node:net'
import { once } from 'node:events'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { listenersIn } from '../../../lib/host/port-listeners.ts'
import {
  openFiles,
  processFacts,
  processLink,
  processNumbers,
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

t.test('listenersIn() names who listens in a namespace', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { ino } = statSync('/proc/self/ns/net')
  t.match(listenersIn(ino, port), [new RegExp(`^${process.pid} `)])
  t.strictSame(listenersIn(1, port), [])
})

t.test('remoteDate() is undefined for whoever does not answer', async (t) => {
  t.equal(await remoteDate('http://127.0.0.1:1/', 1_000), undefined)
  t.equal(await remoteDate('https://127.0.0.1:1/', 1_000), undefined)
  t.equal(await remoteDate('none', 1_000), undefined)
})
