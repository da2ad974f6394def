import { closeSync, openSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parseRouterId } from '../../lib/identity/ids.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import type { Attachment } from '../../proxy/namespaces/plan-attachments.ts'
import { Interception } from '../../proxy/interception/interception.ts'
import { RuleLoader } from '../../proxy/interception/rule-loader.ts'
import { namespaceKeyOf } from '../../proxy/netns/namespace-handle.ts'
import { NftLibrary } from '../../proxy/netlink/nftables.ts'
import { openWindow, type NamespaceWindow } from '../../proxy/netns/window.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'

const checkEvery = 60_000

function attachmentTo(netns: string): Attachment {
  const path = `/run/netns/${netns}`
  return {
    key: namespaceKeyOf(path)!,
    netns,
    path,
    identity: {
      kind: 'router',
      scope: { kind: 'router', routerId: parseRouterId('8a4b1f0c-5f5e-4ad1-9d7b-0f3a8b1c2d3e')! },
      flavour: 'ml2',
    },
    listen: [],
    intercept: true,
  }
}

function makeRouters(t: Test, count: number): Attachment[] {
  const names = Array.from({ length: count }, () => uniqueName())
  makeEmptyNamespaces(t, names)
  return names.map(attachmentTo)
}

function makeInterception(
  t: Test,
  window: NamespaceWindow,
  library: NftLibrary | undefined,
): { interception: Interception; clock: FakeClock } {
  const clock = new FakeClock()
  const interception = new Interception({
    interface: '*',
    tcpPort: 9697,
    loader: new RuleLoader({ window, library, timeout: 10_000 }),
    parallel: 4,
    checkEvery,
    clock,
    logger: silentLogger,
    onFailure: () => undefined,
  })
  interception.start()
  t.teardown(() => interception.close(false))
  return { interception, clock }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isSo(); turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

async function tableIn({ netns }: Attachment): Promise<string> {
  const { stdout } = await runInNetns(netns, ['nft', '-s', 'list', 'table', 'inet', 'overlapd'])
  return stdout
}

if (skipUnlessPrivileged(t)) {
  const window = await openWindow()
  const library = NftLibrary.load()

  t.test('the library and the program load the same rules', async (t) => {
    if (library === undefined) {
      t.fail('libnftables.so.1 is not installed')
      return
    }
    const [one, other] = makeRouters(t, 2) as [Attachment, Attachment]
    const byLibrary = makeInterception(t, window, library).interception
    const byProgram = makeInterception(t, window, undefined).interception
    byLibrary.add(one)
    byProgram.add(other)
    await until(() => byLibrary.count('applied') + byProgram.count('applied') === 2)
    const rules = await tableIn(one)
    t.match(rules, /redirect to :9697/)
    t.equal(await tableIn(other), rules)

    byLibrary.remove(one)
    byProgram.remove(other)
    await byLibrary.close(false)
    await byProgram.close(false)
    t.equal(await tableIn(one), '')
    t.equal(await tableIn(other), '')
  })

  t.test('what the library refuses is told as nft tells it, and changes nothing', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const loader = new RuleLoader({ window, library, timeout: 10_000 })
    const never = new AbortController().signal
    await t.rejects(loader.load(router, 'add table inet overlapd\nnonsense\n', never), {
      message: /nftables refused: .*syntax error/,
    })
    t.equal(await tableIn(router), '')
    loader.release()
  })

  t.test('rules that others flush or delete come back', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const { interception, clock } = makeInterception(t, window, library)
    interception.add(router)
    await until(() => interception.count('applied') === 1)
    const rules = await tableIn(router)
    for (const disturbance of [
      ['flush', 'ruleset'],
      ['delete', 'table', 'inet', 'overlapd'],
      ['flush', 'chain', 'inet', 'overlapd', 'guard_listener'],
    ]) {
      await runInNetns(router.netns, ['nft', ...disturbance])
      t.not(await tableIn(router), rules)
      clock.advance(checkEvery * 1.2)
      let now = ''
      for (let tries = 0; tries < 200 && now !== rules; tries += 1) now = await tableIn(router)
      t.equal(now, rules, disturbance.join(' '))
    }
  })

  t.test('rules are loaded in a process with thousands of descriptors', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const loader = new RuleLoader({ window, library, timeout: 10_000 })
    const fds = Array.from({ length: 2_000 }, () => openSync('/dev/null', 'r'))
    t.teardown(() => fds.forEach((fd) => closeSync(fd)))
    const never = new AbortController().signal
    for (let time = 0; time < 200; time += 1) {
      await loader.load(router, 'add table inet overlapd\n', never)
    }
    loader.release()
    t.match(await tableIn(router), 'table inet overlapd')
  })

  t.test('loading rules thousands of times keeps neither memory nor descriptors', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const loader = new RuleLoader({ window, library, timeout: 10_000 })
    const { interception } = makeInterception(t, window, library)
    interception.add(router)
    await until(() => interception.count('applied') === 1)
    const text = `add table inet overlapd\ndelete table inet overlapd\ntable inet overlapd {\n chain guard_listener {\n  type filter hook input priority filter - 5; policy accept;\n  tcp dport 9697 counter drop\n }\n}\n`
    const never = new AbortController().signal
    const load = async (times: number): Promise<number> => {
      for (let time = 0; time < times; time += 1) await loader.load(router, text, never)
      loader.release()
      return residentKilobytes()
    }
    const before = await load(500)
    const after = await load(2_000)
    t.ok(after - before < 8_192, `${after - before} KiB more after 2,000 loads`)
    t.equal(loader.count(router, 'overlapd'), 1)
  })
}

function residentKilobytes(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}
