import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import {
  credentialsOfDescriptor,
  peerCredentials,
  peerUser,
} from '../../../lib/linux/peer-credentials.ts'
import { openFolder } from '../../support/running-proxy.ts'

const stranger = 65_534

t.test(
  'peerCredentials and peerUser read what the kernel knows of a process that connected',
  async (t) => {
    const path = `${openFolder(t)}/x.sock`
    const server = createServer()
    const umask = process.umask(0)
    server.listen(path)
    process.umask(umask)
    await once(server, 'listening')
    t.teardown(() => server.close())
    const isRoot = process.geteuid?.() === 0
    const account = isRoot ? { uid: stranger, gid: stranger } : {}
    const program =
      'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); input()'
    const child = spawn('python3', ['-c', program, path], { ...account, stdio: 'pipe' })
    const [socket] = (await once(server, 'connection')) as [Socket]

    const userId = isRoot ? stranger : process.geteuid?.()
    t.strictSame(peerCredentials(socket), { pid: child.pid, userId })
    t.equal(peerUser(socket), userId)

    socket.destroy()
    t.equal(peerCredentials(socket), undefined)
    t.equal(peerUser(socket), undefined)
    child.kill()
  },
)

t.test(
  'credentials are refused for what is no UNIX socket, and its account is unknown',
  async (t) => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as { port: number }
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    t.throws(() => credentialsOfDescriptor(1_000_000), /EBADF/)
    // The kernel gives no process for it: nobody's number.
    t.not(peerUser(socket), process.geteuid?.())
  },
)
