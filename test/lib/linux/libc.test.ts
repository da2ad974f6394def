import { closeSync, fstatSync, openSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import {
  descriptorsPerMessage,
  receiveDescriptors,
  sendDescriptors,
} from '../../../lib/linux/descriptor-messages.ts'
import {
  linux,
  openSocket,
  openSocketPair,
  savedSyn,
  setSocketOption,
  SystemCallError,
} from '../../../lib/linux/libc.ts'

if (process.platform === 'linux') {
  t.test('sendDescriptors() and receiveDescriptors() carry as many as a message may', async (t) => {
    const [ours, theirs] = openSocketPair()
    const files = Array.from({ length: descriptorsPerMessage }, () => openSync('/dev/null', 'r'))
    const other = openSync('/dev/zero', 'r')
    t.teardown(() => [ours, theirs, other, ...files].forEach((fd) => closeSync(fd)))

    sendDescriptors(ours, files)
    sendDescriptors(ours, [other])
    const first = receiveDescriptors(theirs)
    const second = receiveDescriptors(theirs)
    t.teardown(() => [...first.fds, ...second.fds].forEach((fd) => closeSync(fd)))

    t.equal(first.count, descriptorsPerMessage)
    t.equal(new Set(first.fds).size, descriptorsPerMessage)
    t.equal(fstatSync(first.fds.at(-1)!).rdev, fstatSync(files[0]!).rdev)
    t.equal(second.count, 1)
    t.equal(fstatSync(second.fds[0]!).rdev, fstatSync(other).rdev, 'in the order of sending')
    t.throws(() => receiveDescriptors(theirs), { message: /EAGAIN/ }, 'and never waits')
  })

  t.test('sendDescriptors() reports it when the receiver is behind or gone', async (t) => {
    const [ours, theirs] = openSocketPair()
    const file = openSync('/dev/null', 'r')
    t.teardown(() => [ours, file].forEach((fd) => closeSync(fd)))
    t.throws(
      () => {
        for (let sent = 0; sent < 100_000; sent += 1) sendDescriptors(ours, [file])
      },
      { message: /EAGAIN/ },
    )
    closeSync(theirs)
    t.throws(() => sendDescriptors(ours, [file]), { message: /EPIPE|ECONNRESET/ })
    t.throws(() => sendDescriptors(ours, []), RangeError)
  })

  t.test('receiveDescriptors() gives nothing once the sender is gone', async (t) => {
    const [ours, theirs] = openSocketPair()
    closeSync(ours)
    t.same(receiveDescriptors(theirs), { count: 0, fds: [] })
    closeSync(theirs)
  })

  t.test('savedSyn() gives the SYN once, and undefined where there is none', async (t) => {
    const server = createServer().listen(0, '127.0.0.1') as Server & { _handle: { fd: number } }
    await once(server, 'listening')
    t.teardown(() => server.close())
    setSocketOption(server._handle.fd, linux.IPPROTO_TCP, linux.TCP_SAVE_SYN, 2)
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    t.teardown(() => client.destroy())
    const [accepted] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }]
    t.teardown(() => accepted.destroy())

    t.ok((savedSyn(accepted._handle.fd)?.length ?? 0) >= 54)
    t.equal(savedSyn(accepted._handle.fd), undefined, 'the kernel has freed it')
    const file = openSync('/dev/null', 'r')
    t.equal(savedSyn(file), undefined)
    closeSync(file)
  })

  t.test('SystemCallError names the call and the kernel’s reason', async (t) => {
    t.throws(() => openSocket(9_999, linux.SOCK_STREAM), new SystemCallError('socket', 97))
    t.throws(() => openSocket(9_999, linux.SOCK_STREAM), {
      message: 'socket failed with EAFNOSUPPORT',
    })
  })
} else {
  t.test('importing is safe where there is no Linux', async (t) => {
    t.throws(() => openSocket(1, 1), { message: /Cannot use Linux system calls/ })
  })
}
