import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { notifyService } from '../../../lib/linux/sd-notify.ts'

/** Short, since a socket's path has 108 bytes at most. */
const folder = mkdtempSync(join(tmpdir(), 'ovt-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** Node has no datagram sockets of the UNIX family; Python has them on every system that has a service manager's tests. */
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1].replace('@', chr(0), 1))
print('bound', flush=True); print(s.recv(100).decode(), flush=True)`

for (const path of [join(folder, 'notify'), `@ovt-${process.pid}`]) {
  t.test(`notifyService() reaches a socket such as ${path[0]}…`, async (t) => {
    const child = spawn('python3', ['-c', listener, path])
    t.teardown(() => child.kill())
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    t.equal((await lines.next()).value, 'bound')
    notifyService(path, 'READY=1')
    t.equal((await lines.next()).value, 'READY=1')
  })
}

t.test(
  'notifyService() does nothing without a socket, and reports one that is not there',
  async (t) => {
    t.doesNotThrow(() => notifyService(undefined, 'READY=1'))
    t.doesNotThrow(() => notifyService('relative', 'READY=1'))
    t.throws(() => notifyService(join(folder, 'none'), 'READY=1'), { message: /ENOENT/ })
  },
)
