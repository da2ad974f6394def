import { closeSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { macAddressFromBytes } from '../../lib/identity/mac-address.ts'
import { callLibc, linux, savedSyn } from '../../lib/linux/libc.ts'
import type { TcpAddress } from '../../lib/identity/tcp-address.ts'
import { listenIn, type ListenOutcome } from '../../proxy/netns/listen-in.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import { sourceIpv4OfSyn } from '../../proxy/worker/guest/source-mac.ts'
import { until } from '../support/until.ts'
import { namespacesOfThreads } from '../support/namespaces-of-threads.ts'
import {
  exchangeFrom,
  ipBatch,
  makeEmptyNamespaces,
  makeNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'

const metadata = parseIpAddress('169.254.169.254')!
const metadataV6 = parseIpAddress('fe80::a9fe:a9fe')!
const any = parseIpAddress('::')!
const nothingOpen = { backlog: 128, open: new Set<string>() }

const window = await openWindow()
t.teardown(() => window.close())

function open(
  t: Test,
  path: string,
  wanted: readonly TcpAddress[],
  alreadyOpen: ReadonlySet<string> = new Set(),
): ListenOutcome {
  const handle = openNamespace(path)
  try {
    const outcome = listenIn(window, handle, wanted, { backlog: 128, open: alreadyOpen })
    t.teardown(() => outcome.opened.forEach(({ fd }) => closeQuietly(fd)))
    return outcome
  } finally {
    handle.close()
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // A server took it over and closed it.
  }
}

/** Answers each connection with a text of its own. */
async function answer(t: Test, fd: number, text: (socketFd: number) => string): Promise<Server> {
  const server = createServer((socket) => {
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    socket.end(text(fd))
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen({ fd }, resolve))
  return server
}

if (skipUnlessPrivileged(t)) {
  t.test('listenIn() serves one address in two namespaces from one process', async (t) => {
    const made = makeNamespaces(
      t,
      ['a', 'b'].map(() => ({
        netns: uniqueName(),
        interface: 'tap0',
        addresses: ['169.254.169.254/32', '10.0.0.2/24'],
        guest: { addresses: ['10.0.0.10/24'], mac: 'fa:16:3e:00:00:10', via: ['10.0.0.2'] },
      })),
    )
    for (const [index, { path }] of made.entries()) {
      const outcome = open(t, path, [{ address: metadata, tcpPort: 80 }])
      t.same(outcome.failed, [])
      t.equal(outcome.opened[0]?.bound, '169.254.169.254:80')
      await answer(t, outcome.opened[0]!.fd, () => `namespace ${index}`)
    }

    for (const [index, { guest }] of made.entries()) {
      t.equal((await exchangeFrom(guest!, metadata, 80, '')).stdout, `namespace ${index}`)
    }
    t.equal(namespacesOfThreads().length, 1)
  })

  t.test('listenIn() takes IPv4 and IPv6 on one socket and keeps the source MAC', async (t) => {
    const [made] = makeNamespaces(t, [
      {
        netns: uniqueName(),
        addresses: ['10.0.0.1/24', 'fe80::1/64'],
        guest: { addresses: ['10.0.0.10/24', 'fe80::10/64'], mac: 'fa:16:3e:00:00:42' },
      },
    ])
    const outcome = open(t, made!.path, [{ address: any, tcpPort: 9697 }])
    t.same(outcome.failed, [])
    t.equal(outcome.opened[0]?.bound, '[::]:9697')
    await answer(t, outcome.opened[0]!.fd, (fd) => {
      const syn = savedSyn(fd)
      if (syn === undefined) return 'no SYN'
      const noDelay = Buffer.alloc(4)
      const length = Buffer.from([4, 0, 0, 0])
      callLibc('getsockopt', fd, linux.IPPROTO_TCP, linux.TCP_NODELAY, noDelay, length)
      const sendsAtOnce = noDelay.readInt32LE(0) !== 0
      return `${macAddressFromBytes(syn, 6)} ${sourceIpv4OfSyn(syn)} ${sendsAtOnce}`
    })

    const heardOf = async (address: string): Promise<string> =>
      (await exchangeFrom(made!.guest!, address, 9697, '')).stdout
    t.equal(await heardOf('10.0.0.1'), 'fa:16:3e:00:00:42 10.0.0.10 true')
    t.equal(await heardOf('fe80::1%eth0'), 'fa:16:3e:00:00:42 undefined true')
  })

  t.test('listenIn() opens the link-local address where an interface carries it', async (t) => {
    const [made] = makeNamespaces(t, [
      {
        netns: uniqueName(),
        interface: 'tap0',
        addresses: ['169.254.169.254/32', 'fe80::a9fe:a9fe/64'],
        guest: { addresses: ['fe80::10/64'] },
      },
    ])
    const wanted = [
      { address: metadata, tcpPort: 80 },
      { address: metadataV6, tcpPort: 80 },
    ]
    const { opened, failed, absent } = open(t, made!.path, wanted)
    t.same(failed, [])
    t.same(absent, [])
    t.same(
      opened.map(({ bound }) => bound),
      ['169.254.169.254:80', '[fe80::a9fe:a9fe%tap0]:80'],
    )
    await answer(t, opened[1]!.fd, () => 'link-local')
    t.equal((await exchangeFrom(made!.guest!, 'fe80::a9fe:a9fe%eth0', 80, '')).stdout, 'link-local')

    const again = open(t, made!.path, wanted, new Set(opened.map((one) => one.bindingKey)))
    t.same(
      { ...again },
      { opened: [], unwanted: [], failed: [], gone: [], absent: [], unreachable: [] },
    )

    ipBatch(['addr del fe80::a9fe:a9fe/64 dev tap0'], made!.netns)
    const later = open(t, made!.path, wanted, new Set(opened.map((one) => one.bindingKey)))
    t.same(later.gone, [opened[1]!.bindingKey], 'says which one to close')
    t.same(later.absent, [wanted[1]])
  })

  t.test('listenIn() opens IPv4 where IPv6 is off, absent or in trouble', async (t) => {
    const name = uniqueName()
    makeEmptyNamespaces(t, [name])
    await runInNetns(name, ['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1'])
    const outcome = open(t, `/run/netns/${name}`, [
      { address: metadataV6, tcpPort: 80, interface: 'nosuch0' },
      { address: metadata, tcpPort: 80 },
    ])
    t.same(
      outcome.opened.map(({ bound }) => bound),
      ['169.254.169.254:80'],
    )
    t.equal(outcome.absent.length, 1)
  })

  t.test('listenIn() leaves out a link-local address that lost address detection', async (t) => {
    const [made] = makeNamespaces(t, [
      {
        netns: uniqueName(),
        interface: 'tap0',
        guest: { addresses: ['fe80::a9fe:a9fe/64'] },
      },
    ])
    ipBatch(['addr add fe80::a9fe:a9fe/64 dev tap0'], made!.netns)
    await until(async () => {
      const { stdout } = await runInNetns(made!.netns, ['ip', '-6', 'address', 'show', 'dadfailed'])
      return stdout.includes('fe80::a9fe:a9fe')
    }, 50)
    const { opened, absent, failed } = open(t, made!.path, [
      { address: metadata, tcpPort: 80 },
      { address: metadataV6, tcpPort: 80 },
    ])
    t.same(
      opened.map(({ bound }) => bound),
      ['169.254.169.254:80'],
    )
    t.equal(absent.length, 0)
    t.match(failed, [{ bound: '[fe80::a9fe:a9fe%tap0]:80', why: /^duplicate address detection/ }])
  })

  t.test('listenIn() names the kernel’s reason when an address is taken', async (t) => {
    const name = uniqueName()
    makeEmptyNamespaces(t, [name])
    const wanted = [{ address: any, tcpPort: 9697 }]
    open(t, `/run/netns/${name}`, wanted)
    t.same(open(t, `/run/netns/${name}`, wanted).failed, [
      { bound: '[::]:9697', tcpPort: 9697, why: 'EADDRINUSE' },
    ])
  })

  t.test(
    'window.run() leaves every thread at home, whatever happens inside and beside',
    async (t) => {
      const names = Array.from({ length: 20 }, () => uniqueName())
      makeEmptyNamespaces(t, names)
      const handles = names.map((name) => openNamespace(`/run/netns/${name}`))
      t.teardown(() => handles.forEach((handle) => handle.close()))
      const home = namespacesOfThreads()
      const files = Array.from({ length: 200 }, () => readFile('/proc/self/status'))
      for (let round = 0; round < 50; round += 1) {
        for (const handle of handles) {
          listenIn(window, handle, [{ address: any, tcpPort: 9697 }], nothingOpen).opened.forEach(
            ({ fd }) => closeSync(fd),
          )
        }
      }
      t.throws(() =>
        window.run(handles[0]!, () => {
          throw new Error('inside')
        }),
      )
      t.throws(() => window.run(handles[0]!, () => window.run(handles[1]!, () => 1)))
      t.throws(() => window.run(handles[0]!, () => Promise.resolve(1)), /must not be async/)
      await Promise.all(files)
      await Promise.all(Array.from({ length: 50 }, () => readFile('/proc/self/status')))

      t.equal(home.length, 1)
      t.same(namespacesOfThreads(), home)
    },
  )

  t.test('window.run() does work inside and only there', async (t) => {
    const name = uniqueName()
    makeEmptyNamespaces(t, [name])
    const handle = openNamespace(`/run/netns/${name}`)
    t.teardown(() => handle.close())
    const devices = () => readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').length
    const outside = devices()
    t.equal(window.run(handle, devices), 4, 'a new namespace has the loopback device alone')
    t.equal(devices(), outside)
  })
}
