import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import t from 'tap'
import { PeerUsers } from '../../../agent-side/served-scopes/peer-user.ts'
import { descriptorOf } from '../../../lib/sockets/descriptor.ts'
import { peerCredentials } from '../../../lib/linux/peer-credentials.ts'
import { peerOf } from '../../../proxy/linux/peer-credentials.ts'
import { openFolder } from '../../support/running-proxy.ts'

const stranger = 65_534

t.test(
  'peerCredentials reads what the kernel says, as the proxy and the agent ask it',
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
    t.strictSame(peerOf(socket), { pid: child.pid, userId })
    t.equal(new PeerUsers().userOf(socket), userId)

    socket.destroy()
    t.equal(descriptorOf(socket), undefined)
    t.equal(peerOf(socket), undefined)
    t.equal(new PeerUsers().userOf(socket), undefined)
    child.kill()
  },
)

t.test('peerCredentials lets a refusal of the system through', async (t) => {
  const refuse = (): never => {
    throw new Error('EBADF')
  }
  t.throws(() => peerCredentials(1_000, refuse), /EBADF/)
})
