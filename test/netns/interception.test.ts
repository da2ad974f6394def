import { closeSync, openSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { parseRouterId } from '../../lib/identity/ids.ts'
import { silentLogger } from '../../lib/runtime/log.ts'
import type { Attachment } from '../../proxy/namespaces/plan-attachments.ts'
import { Interception } from '../../proxy/interception/interception.ts'
import { RuleLoader } from '../../proxy/interception/rule-loader.ts'
import { namespaceKeyOf, openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { NftLibrary } from '../../proxy/netlink/nftables.ts'
import { openWindow, type NamespaceWindow } from '../../proxy/netns/window.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { until } from '../support/until.ts'
import {
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const checkEvery = 60_000
const table = 'overlapd'

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
  library: NftLibrary,
): { interception: Interception; clock: FakeClock } {
  const clock = new FakeClock()
  const interception = new Interception({
    interface: '*',
    tcpPort: 9697,
    loader: new RuleLoader({ window, library, table }),
    checkEvery,
    clock,
    logger: silentLogger,
    onFailure: () => undefined,
  })
  interception.start()
  t.teardown(() => interception.close(false))
  return { interception, clock }
}

async function tableIn({ netns }: Attachment): Promise<string> {
  const { stdout } = await runInNetns(netns, ['nft', '-s', 'list', 'table', 'inet', 'overlapd'])
  return stdout
}

if (skipUnlessPrivileged(t)) {
  const window = await openWindow()
  const library = new NftLibrary()

  t.test('rules are loaded where they are wanted, and removed where they are not', async (t) => {
    const [one, other] = makeRouters(t, 2) as [Attachment, Attachment]
    const { interception } = makeInterception(t, window, library)
    interception.add(one)
    interception.add(other)
    await until(() => interception.count('applied') === 2)
    const rules = await tableIn(one)
    t.match(rules, /redirect to :9697/)
    t.equal(await tableIn(other), rules)

    interception.remove(one)
    interception.remove(other)
    interception.add(other)
    await interception.close(false)
    t.equal(await tableIn(one), '')
  })

  t.test('a namespace wanted again keeps the rules that were loaded inside it', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const { interception } = makeInterception(t, window, library)
    const attach = (): void => {
      const handle = openNamespace(router.path)
      window.run(handle, () => interception.loadInside(router))
      handle.close()
      interception.add(router)
    }
    attach()
    const rules = await tableIn(router)
    interception.remove(router)
    attach()
    await interception.close(false)
    t.match(rules, /redirect to :9697/)
    t.equal(await tableIn(router), rules)
  })

  t.test(
    'what the library refuses is reported as nft reports it, and changes nothing',
    async (t) => {
      const [router] = makeRouters(t, 1) as [Attachment]
      const loader = new RuleLoader({ window, library, table })
      t.throws(() => loader.load(router, 'add table inet overlapd\nnonsense\n'), {
        message: /nftables: .*syntax error/,
      })
      t.equal(await tableIn(router), '')
      loader.release()
    },
  )

  t.test(
    'without the library a namespace fails with the package to install, and rules can still be removed',
    async (t) => {
      const [router] = makeRouters(t, 1) as [Attachment]
      const absent = new NftLibrary('libnftables-absent.so.1')
      const { interception } = makeInterception(t, window, absent)
      interception.add(router)
      await until(() => interception.count('failed') === 1)
      t.match(interception.stateOf(router.key), { why: /cannot be loaded.*libnftables1/ })
      await runInNetns(router.netns, ['nft', 'add', 'table', 'inet', 'overlapd'])
      interception.remove(router)
      await interception.close(false)
      t.equal(await tableIn(router), '')
    },
  )

  t.test('rules that others flush or delete come back', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const { interception, clock } = makeInterception(t, window, library)
    interception.add(router)
    await until(() => interception.count('applied') === 1)
    const rules = await tableIn(router)
    let removals = 0
    for (const disturbance of [
      ['flush', 'ruleset'],
      ['delete', 'table', 'inet', 'overlapd'],
      ['flush', 'chain', 'inet', 'overlapd', 'guard_listener'],
    ]) {
      await runInNetns(router.netns, ['nft', ...disturbance])
      t.not(await tableIn(router), rules)
      await clock.advance(checkEvery * 1.2)
      await until(async () => (await tableIn(router)) === rules)
      removals += 1
      t.match(
        interception.troubled(),
        [{ state: 'applied', removals: { count: removals, by: /^nft / } }],
        disturbance.join(' '),
      )
    }
  })

  t.test('rules are loaded in a process with thousands of descriptors', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const loader = new RuleLoader({ window, library, table })
    const fds = Array.from({ length: 2_000 }, () => openSync('/dev/null', 'r'))
    t.teardown(() => fds.forEach((fd) => closeSync(fd)))
    for (let time = 0; time < 200; time += 1) {
      loader.load(router, 'add table inet overlapd\n')
    }
    loader.release()
    t.match(await tableIn(router), 'table inet overlapd')
  })

  t.test('loading rules thousands of times keeps neither memory nor descriptors', async (t) => {
    const [router] = makeRouters(t, 1) as [Attachment]
    const loader = new RuleLoader({ window, library, table })
    const { interception } = makeInterception(t, window, library)
    interception.add(router)
    await until(() => interception.count('applied') === 1)
    const text = `add table inet overlapd\ndelete table inet overlapd\ntable inet overlapd {\n chain guard_listener {\n  type filter hook input priority filter - 5; policy accept;\n  tcp dport 9697 counter drop\n }\n}\n`
    const load = (times: number): number => {
      for (let time = 0; time < times; time += 1) loader.load(router, text)
      loader.release()
      // A busy machine postpones collections, and garbage is no leak.
      collectGarbage()
      return residentKilobytes()
    }
    const before = load(500)
    const after = load(2_000)
    t.comment(`${before} to ${after} KiB`)
    t.ok(after - before < 8_192, `${after - before} KiB more after 2,000 loads`)
    t.equal(loader.count(router), 1)
  })
}

function residentKilobytes(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}
