// A worker that was broken into cleared O_NONBLOCK on the listening sockets, which all workers share. Any worker to which another one
// was quicker with a connection then waited in accept(2) for the next one, and its guests with it, until it was killed as silent; and so
// did those that followed it. Right: the supervisor sees what became of its sockets, undoes it and replaces all workers, of which one
// must have done it.
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { askOnce, requestText } from '../bench/guest-request.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { makeRoutersWithGuests } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn } from '../support/running-proxy.ts'
import { until } from '../support/until.ts'

/** Does to the listening sockets of another process what that could do itself: pidfd_getfd(2) has no other name in Python. */
const nonBlocking = `
import ctypes, fcntl, os, socket, sys
pid = int(sys.argv[1]); clears = sys.argv[2] == 'clear'; libc = ctypes.CDLL(None, use_errno=True); pidfd = os.pidfd_open(pid)
for name in os.listdir(f'/proc/{pid}/fd'):
    fd = libc.syscall(438, pidfd, int(name), 0)
    if fd < 0: continue
    try:
        one = socket.socket(fileno=fd)
        listening = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if not listening or one.family == socket.AF_UNIX: continue
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if clears: fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
        print('waits' if clears or not flags & os.O_NONBLOCK else 'returns')
    except OSError: pass`

function listeningSockets(pid: number, what: 'clear' | 'look'): readonly string[] {
  const output = execFileSync('python3', ['-c', nonBlocking, String(pid), what]).toString()
  return [...new Set(output.split('\n').filter((line) => line !== ''))]
}

/** More than there are workers, so that each would wait. */
const requests = 8

if (skipUnlessPrivileged(t)) {
  t.test('sockets that were made to wait are mended, and all workers replaced', async (t) => {
    const stage = await makeStage(t)
    const [router] = await makeRoutersWithGuests(t, stage.netnsFolder, 1)
    const proxy = await startProxyOn(t, stage, { set: ['workers.count=2', 'workers.user=nobody'] })
    const serving = (): Promise<unknown> =>
      proxy.until('the router', ({ namespaces: [first], workers }) => {
        const areReady = workers.every(({ state }) => state === 'ready')
        return areReady && first?.state === 'serving' && first.interception === 'applied'
      })
    await serving()
    const { target } = router!
    const ask = async (): Promise<string> =>
      (await askOnce(target, requestText(target.path, false))).kind
    t.equal(await ask(), 'right')
    const before = (await proxy.status()).workers.map(({ pid }) => pid)

    t.same(listeningSockets(before[0]!, 'look'), ['returns'])
    t.same(listeningSockets(before[0]!, 'clear'), ['waits'])
    // As one that waits does, the other one answers nobody.
    process.kill(before[1]!, 'SIGSTOP')
    await until(async () => /breach="blocking"\} 1/.test(await proxy.metrics()), 100)
    // It is counted before the workers have ended.
    await proxy.until('other workers', ({ workers }) =>
      workers.every(({ pid }) => !before.includes(pid)),
    )
    await serving()

    for (let count = 0; count < requests; count += 1) t.equal(await ask(), 'right')
    const after = (await proxy.status()).workers.map(({ pid }) => pid)
    t.notOk(
      after.some((pid) => before.includes(pid)),
      'none of the workers is left',
    )
    for (const pid of after) t.same(listeningSockets(pid, 'look'), ['returns'])
    t.match(proxy.log(), /Killing all workers/)
  })
}
