import { mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { silentLogger, type LogFields } from '../../../lib/runtime/log.ts'
import {
  NamespaceDiscovery,
  scanNamespaces,
  type FoundNamespace,
} from '../../../proxy/netns/discover.ts'

/** A namespace that every process may look at: its own. */
const own = '/proc/self/ns/net'

t.test(
  'scanNamespaces() finds namespaces by name and by path, and leaves other files out',
  async (t) => {
    const folder = t.testdir({ bare: '' })
    symlinkSync(own, join(folder, 'blue'))
    symlinkSync(join(folder, 'nothing'), join(folder, 'dangling'))
    const { found, unmounted } = scanNamespaces(folder, [own, '/proc/self/ns/none'])
    t.same(
      found.map(({ netns, path }) => [netns, path]),
      [
        ['blue', join(folder, 'blue')],
        [own, own],
      ],
    )
    t.match(found[0]?.key, /^\d+:\d+$/)
    t.equal(found[0]?.key, found[1]?.key)
    t.same(unmounted, ['bare'])
  },
)

t.test('scanNamespaces() takes a folder that does not exist for an empty one', async (t) => {
  t.same(scanNamespaces(join(t.testdir(), 'none'), []), { found: [], unmounted: [] })
})

/** Waits for a scan that looks as wanted; the test's own limit ends what never comes. */
function watchFolder(t: Test, directory: string, warnings: LogFields[] = []) {
  let last: readonly FoundNamespace[] = []
  const waiting = new Set<() => void>()
  const discovery = new NamespaceDiscovery({
    directory,
    paths: [],
    clock: systemClock,
    logger: { ...silentLogger, warn: (fields) => void warnings.push(fields) },
    fullPass: 3_600_000,
    onScan(found) {
      last = found
      for (const check of waiting) check()
    },
  })
  t.teardown(() => discovery.close())
  discovery.start()
  return {
    names: () => last.map(({ netns }) => netns),
    until: (wanted: readonly string[]) =>
      new Promise<void>((resolve) => {
        const check = (): void => {
          if (last.map(({ netns }) => netns).join() !== wanted.join()) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        // The discovery's own timers keep no process alive.
        const alive = setInterval(check, 1_000)
        t.teardown(() => clearInterval(alive))
        check()
      }),
  }
}

t.test(
  'NamespaceDiscovery learns of names that come, go, and get their namespace later',
  async (t) => {
    const folder = t.testdir()
    symlinkSync(own, join(folder, 'a'))
    const { until } = watchFolder(t, folder)
    await until(['a'])
    symlinkSync(own, join(folder, 'b'))
    await until(['a', 'b'])
    unlinkSync(join(folder, 'a'))
    await until(['b'])

    // As `ip netns add` does: first the file, of which there is an event, then what counts, of which there is none.
    writeFileSync(join(folder, 'target'), '')
    symlinkSync(join(folder, 'target'), join(folder, 'c'))
    rmSync(join(folder, 'target'))
    symlinkSync(own, join(folder, 'target'))
    await until(['b', 'c', 'target'])
    t.pass('all were seen')
  },
)

t.test('NamespaceDiscovery begins when the folder comes to be', async (t) => {
  const folder = join(t.testdir(), 'netns')
  const { until } = watchFolder(t, folder)
  await until([])
  mkdirSync(folder)
  symlinkSync(own, join(folder, 'a'))
  await until(['a'])
  t.pass('it was seen')
})

t.test('NamespaceDiscovery reports a broken mount once, and sees the others', async (t) => {
  const folder = t.testdir({ broken: '' })
  symlinkSync(own, join(folder, 'a'))
  const warnings: LogFields[] = []
  const { until } = watchFolder(t, folder, warnings)
  await until(['a'])
  await new Promise<void>((resolve) => {
    const alive = setInterval(() => {
      if (warnings.length > 0) {
        clearInterval(alive)
        resolve()
      }
    }, 50)
  })
  symlinkSync(own, join(folder, 'b'))
  await until(['a', 'b'])
  t.match(warnings, [{ netns: ['broken'], count: 1 }])
  t.equal(warnings.length, 1)
})
