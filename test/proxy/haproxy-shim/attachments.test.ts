import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { silentLogger } from '../../../lib/runtime/log.ts'
import {
  attachmentFolderOf,
  isWaiting,
  prepareAttachmentFolder,
  readRecord,
  writeRecord,
} from '../../../proxy/haproxy-shim/attachment-folder.ts'
import {
  parseRecord,
  recordText,
  type AttachmentRecord,
} from '../../../proxy/haproxy-shim/attachment-record.ts'
import { HaproxyAttachments } from '../../../proxy/haproxy-shim/attachments.ts'
import { endWaiting, leaveWaiting } from '../../../proxy/haproxy-shim/attach-waiting.ts'
import { parseTcpAddress } from '../../../lib/identity/tcp-address.ts'
import { identityOf } from '../../../proxy/namespaces/identity.ts'
import { namespaceKeyOf, type NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'
import { commandLineOf } from '../../../lib/host/process-facts.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const id = '6a4f4e4c-3f62-4d6e-9f0e-3d1a2b0c9d10'
const name = `network-${id}`
const config = {
  identity: identityOf('network', id)!,
  listen: [parseTcpAddress('169.254.169.254:80')!],
  pidFile: '/x.pid',
  agentSocket: '/x.sock',
  ignored: [],
}

function folderOf(t: Test): string {
  const folder = attachmentFolderOf(join(scratchFolder(t), 'control.sock'))
  prepareAttachmentFolder(folder)
  return folder
}

async function wait(t: Test, folder: string, key?: NamespaceKey): Promise<AttachmentRecord> {
  const own = namespaceKeyOf('/proc/self/ns/net')!
  const record = await leaveWaiting({
    folder,
    config,
    configFile: `/state/ns-metadata-proxy/${id}.conf`,
    key: key ?? own,
    processTag: undefined,
  })
  t.teardown(() => endWaiting(folder, record))
  return record
}

/** With a promise of the next change. */
function attachmentsIn(
  t: Test,
  folder: string,
): { all: HaproxyAttachments; change: () => Promise<void> } {
  let heard: (() => void) | undefined
  const all = new HaproxyAttachments({ folder, logger: silentLogger, onChange: () => heard?.() })
  t.teardown(() => all.close())
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      // The FIFO does not keep a process alive, and here nothing else does.
      const keepAlive = setInterval(() => undefined, 1_000)
      heard = () => {
        clearInterval(keepAlive)
        resolve()
      }
    })
  return { all, change }
}

t.test(
  'leaveWaiting() leaves a process that Neutron knows by the file on its command line',
  async (t) => {
    const folder = folderOf(t)
    const { pid } = await wait(t, folder)
    t.match(commandLineOf(pid).slice(-3), ['overlapd-haproxy', '-f', new RegExp(`/${id}\\.conf$`)])
    t.same(readRecord(folder, name).pid, pid)
    await t.rejects(wait(t, folder), /process \d+ stands for it already/)
  },
)

t.test(
  'HaproxyAttachments learns at once when the waiting process ends, and forgets the record',
  async (t) => {
    const folder = folderOf(t)
    const { all, change } = attachmentsIn(t, folder)
    all.start()
    const { pid } = await wait(t, folder)
    all.attach(name)
    t.equal(all.records().length, 1)
    const changed = change()
    process.kill(pid, 'SIGHUP')
    process.kill(pid, 'SIGTERM')
    await changed
    t.same(all.records(), [])
    t.same(readdirSync(folder), [])
  },
)

t.test(
  'HaproxyAttachments finds again after a restart what still waits, and clears what ended meanwhile',
  async (t) => {
    const folder = folderOf(t)
    const first = attachmentsIn(t, folder).all
    first.start()
    const record = await wait(t, folder)
    first.attach(name)
    first.close()
    const { all, change } = attachmentsIn(t, folder)
    all.start()
    t.match(all.records(), [{ pid: record.pid, namespace: record.namespace }])
    const changed = change()
    process.kill(record.pid, 'SIGTERM')
    await changed
    t.same(all.records(), [])

    const later = await wait(t, folder)
    const fifo = join(folder, later.fifo)
    t.ok(existsSync(fifo))
    all.close()
    process.kill(later.pid, 'SIGKILL')
    while (isWaiting(folder, later)) await setImmediate()
    const last = attachmentsIn(t, folder).all
    last.start()
    t.same(last.records(), [])
    t.same(readdirSync(folder), [])
  },
)

t.test(
  'HaproxyAttachments refuses a record whose process lives in another namespace',
  async (t) => {
    const folder = folderOf(t)
    const { all } = attachmentsIn(t, folder)
    all.start()
    await wait(t, folder, '4:1' as NamespaceKey)
    t.throws(() => all.attach(name), /lives in another namespace/)
    t.same(all.records(), [])
  },
)

t.test('HaproxyAttachments refuses a record with the number of another process', async (t) => {
  const folder = folderOf(t)
  const { all } = attachmentsIn(t, folder)
  all.start()
  const record = await wait(t, folder)
  writeRecord(folder, { ...record, pid: process.pid })
  t.throws(() => all.attach(name), /is not the one that should wait/)
})

t.test('HaproxyAttachments leaves files of others alone', async (t) => {
  const folder = folderOf(t)
  const secret = join(scratchFolder(t), 'secret')
  writeFileSync(secret, '{}')
  const record = await wait(t, folder)
  symlinkSync(secret, join(folder, `router-${id}.json`))
  writeFileSync(join(folder, `ovn-${id}.json`), recordText(record), { mode: 0o600 })
  writeFileSync(join(folder, 'notes.txt'), 'x')
  writeFileSync(join(folder, 'plain.wait'), 'x')
  const { all } = attachmentsIn(t, folder)
  all.start()
  t.match(all.records(), [{ pid: record.pid }])
  t.same(readdirSync(folder).length, 6)
  t.throws(() => readRecord(folder, `ovn-${id}`), /stand for different things/)
  t.throws(() => readRecord(folder, '../secret'), /the name of no record/)
  chmodSync(join(folder, `${name}.json`), 0o666)
  t.throws(() => readRecord(folder, name), /no file of root/)
})

t.test('prepareAttachmentFolder() refuses a folder that others can write to', async (t) => {
  const folder = join(scratchFolder(t), 'attachments')
  prepareAttachmentFolder(folder)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  chmodSync(folder, 0o770)
  t.throws(() => prepareAttachmentFolder(folder), /that others cannot write to/)
  const linked = join(scratchFolder(t), 'linked')
  mkdirSync(join(folder, 'elsewhere'))
  symlinkSync(join(folder, 'elsewhere'), linked)
  t.throws(() => prepareAttachmentFolder(linked), /must be a folder of root/)
})

t.test('parseRecord() takes back what recordText() wrote and nothing like it', async (t) => {
  const record: AttachmentRecord = {
    identity: config.identity,
    listen: config.listen,
    namespace: '4:5' as NamespaceKey,
    pid: 7,
    startTime: '9',
    fifo: 'a.wait',
    configFile: '/x.conf',
  }
  const text = recordText(record)
  t.same(parseRecord(text), record)
  for (const [from, to] of [
    ['"version":1', '"version":2'],
    ['"a.wait"', '"../a.wait"'],
    ['"kind":"network"', '"kind":"host"'],
    ['169.254.169.254:80', 'localhost:80'],
    ['"4:5"', '"/proc/1/ns/net"'],
    ['"pid":7', '"pid":"7"'],
  ] as const) {
    t.throws(() => parseRecord(text.replace(from, to)), SyntaxError, to)
  }
})
