import { mkdir, rename, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { StaticDirectory } from '../../../../agent-side/ports/static/directory.ts'
import type { DirectoryChange } from '../../../../agent-side/ports/directory/port-directory.ts'
import { systemClock, type Clock } from '../../../../lib/runtime/clock.ts'
import { parseNetworkId } from '../../../../lib/identity/ids.ts'
import { createLogger } from '../../../../lib/runtime/log.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { ip } from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { makeWatchedFile, type WatchedFile } from '../../../support/static-file.ts'

const networkId = parseNetworkId('net-a')
const bad = 'networks: [{id: net-a}]\nports: [{network: net-a, mac: 5}]'

function good(instance: string): string {
  return `
networks: [{id: net-a, project: a}]
routers: [{id: router-a, networks: [net-a]}]
ports: [{network: net-a, mac: 'fa:16:3e:00:00:10', fixed_ips: [10.0.0.10], instance: ${instance}}]
`
}

interface Subject {
  readonly directory: StaticDirectory
  readonly watched: WatchedFile
  readonly lines: string[]
  readonly changes: DirectoryChange[]
  readonly metrics: () => Promise<string>
  readonly instance: () => string | undefined
  /** Resolves with the next change that the watch brings. */
  readonly told: () => Promise<void>
}

async function subject(t: Test, clock: Clock, text: string, file?: string): Promise<Subject> {
  const watched = await makeWatchedFile()
  const lines: string[] = []
  const registry = createRegistry()
  await watched.replace(text)
  const directory = new StaticDirectory(
    {
      file: file === undefined ? watched.file : join(watched.folder, file),
      poll_interval: 10_000,
    },
    {
      clock,
      logger: createLogger({
        component: 'test',
        level: 'info',
        destination: { write: (line) => lines.push(line) },
      }),
      registry,
      debounce: 1,
    },
  )
  const changes: DirectoryChange[] = []
  directory.onChange((change) => changes.push(change))
  t.teardown(async () => {
    await directory.close()
    await watched.remove()
  })
  return {
    directory,
    watched,
    lines,
    changes,
    metrics: () => registry.metrics(),
    instance() {
      if (networkId === undefined) return undefined
      const query = { networkIds: [networkId], fixedIp: ip('10.0.0.10') }
      return directory.findPorts(query).ports[0]?.instanceId
    },
    told() {
      return new Promise((resolve) => {
        const alive = setInterval(() => undefined, 60_000)
        const end = directory.onChange(() => {
          clearInterval(alive)
          end()
          resolve()
        })
      })
    },
  }
}

t.test('StaticDirectory starts on a bad file, not ready, and recovers by itself', async (t) => {
  const { directory, watched, instance, told, metrics } = await subject(t, systemClock, bad)
  await directory.start()
  t.equal(directory.readiness().ready, false)
  t.match(directory.readiness().detail, /ports\[0\]\.mac: expected a MAC address.*\(line 2\)/)
  t.throws(() => instance(), { code: 'directory_not_ready' })
  t.strictSame([...directory.allPorts()], [])
  t.match(await metrics(), 'overlapd_directory_loads_total{directory="static",outcome="refused"} 1')
  const changed = told()
  await watched.replace(good('web-1'))
  await changed
  t.equal(instance(), 'web-1')
  t.equal(directory.readiness().ready, true)
})

t.test(
  'StaticDirectory keeps the last good file when the next is bad, and reports why',
  async (t) => {
    const subjects = await subject(t, systemClock, good('web-1'))
    const { directory, watched, instance, lines, changes, metrics } = subjects
    await directory.start()
    t.match(await metrics(), 'overlapd_directory_ports{directory="static"} 1')
    for (const [text, why] of [
      [bad, /ports\[0\]\.mac/],
      ['', /the file is empty/],
      ['networks: [', /:1: /],
      ['frob: 1', /frob: unknown key \(line 1\)/],
      ['3', /expected object/],
    ] as const) {
      await watched.replace(text)
      await directory.reload()
      t.equal(instance(), 'web-1')
      t.equal(directory.readiness().ready, true)
      t.match(directory.readiness().detail, why)
      t.match(lines.at(-1), /"level":"error".*File of ports cannot be used/)
    }
    await unlink(watched.file)
    await directory.reload()
    t.match(directory.readiness().detail, /ENOENT/)
    t.equal(instance(), 'web-1')
    const before = lines.length
    await directory.reload()
    t.equal(lines.length, before, 'the same trouble is logged once')
    t.match(
      await metrics(),
      'overlapd_directory_loads_total{directory="static",outcome="refused"} 6',
    )
    await watched.replace(good('web-1'))
    await directory.reload()
    t.notMatch(directory.readiness().detail, /not used/)
    t.strictSame(changes, [{ kind: 'all', why: 'the file was read for the first time' }])
  },
)

t.test(
  'StaticDirectory notices writes in place, renames over it and new symbolic links',
  async (t) => {
    const inPlace = await subject(t, systemClock, good('web-1'))
    await inPlace.directory.start()
    const rewritten = inPlace.told()
    await writeFile(inPlace.watched.file, good('web-2'))
    await rewritten
    t.equal(inPlace.instance(), 'web-2')
    const renamed = inPlace.told()
    await inPlace.watched.replace(good('web-3'))
    await renamed
    t.equal(inPlace.instance(), 'web-3')

    // As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a folder per version.
    const mounted = await subject(t, systemClock, bad, 'mounted.yaml')
    const { folder } = mounted.watched
    for (const version of ['one', 'two']) {
      await mkdir(join(folder, version))
      await writeFile(join(folder, version, 'mounted.yaml'), good(`web-${version}`))
    }
    await symlink('one', join(folder, '..data'))
    await symlink(join('..data', 'mounted.yaml'), join(folder, 'mounted.yaml'))
    await mounted.directory.start()
    t.equal(mounted.instance(), 'web-one')
    const turned = mounted.told()
    await symlink('two', join(folder, '..data.new'))
    await rename(join(folder, '..data.new'), join(folder, '..data'))
    await turned
    t.equal(mounted.instance(), 'web-two')
  },
)

t.test(
  'StaticDirectory looks again after poll_interval where nothing reports changes',
  async (t) => {
    const clock = new FakeClock()
    const { directory, watched, instance } = await subject(t, clock, good('web-1'), 'far.yaml')
    // The file is reached through a link to a folder that is not watched.
    const far = join(watched.folder, 'far')
    await mkdir(far)
    await writeFile(join(far, 'ports.yaml'), good('web-1'))
    await symlink(join('far', 'ports.yaml'), join(watched.folder, 'far.yaml'))
    await directory.start()
    await writeFile(join(far, 'ports.yaml'), good('web-22'))
    const changed = new Promise<void>((resolve) => directory.onChange(() => resolve()))
    t.equal(instance(), 'web-1')
    const alive = setInterval(() => undefined, 60_000)
    await clock.advance(10_000)
    await changed
    clearInterval(alive)
    t.equal(instance(), 'web-22')
  },
)

t.test('StaticDirectory reports exactly which networks and routers changed', async (t) => {
  const before = `
networks: [{id: net-a, project: a}, {id: net-b, project: a}, {id: net-c, project: a}]
routers: [{id: router-a, networks: [net-a]}, {id: router-b, networks: [net-b]}]
ports:
- {id: one, network: net-a, mac: 'fa:16:3e:00:00:01', fixed_ips: [10.0.0.1], instance: web-1}
- {id: two, network: net-b, mac: 'fa:16:3e:00:00:02', fixed_ips: [10.0.0.1], instance: web-2}
`
  const { directory, watched, changes } = await subject(t, systemClock, before)
  await directory.start()
  const after = async (text: string): Promise<readonly DirectoryChange[]> => {
    changes.length = 0
    await watched.replace(text)
    await directory.reload()
    return [...changes]
  }
  t.strictSame(await after(`${before}# only a comment\n`), [])
  t.strictSame(await after(before.replace('web-1', 'web-9')), [
    { kind: 'network', networkId: 'net-a' },
  ])
  t.strictSame(await after(before.replace('id: two, network: net-b', 'id: two, network: net-c')), [
    { kind: 'network', networkId: 'net-a' },
    { kind: 'network', networkId: 'net-c' },
    { kind: 'network', networkId: 'net-b' },
  ])
  t.strictSame(await after(before.replace('networks: [net-b]', 'networks: [net-b, net-c]')), [
    { kind: 'router', routerId: 'router-b' },
    { kind: 'network', networkId: 'net-b' },
    { kind: 'network', networkId: 'net-c' },
  ])
  const many = Array.from({ length: 1_200 }, (_, index) => `{id: net-${index}, project: a}`)
  const ports = many.map((_, index) => `{network: net-${index}, mac: 'fa:16:3e:00:00:01'}`)
  const [all] = await after(`networks: [${many.join(', ')}]\nports: [${ports.join(', ')}]`)
  t.equal(all?.kind, 'all')
})

t.test('StaticDirectory notifies every listener, also after one that fails', async (t) => {
  const { directory, watched, lines, instance } = await subject(t, systemClock, good('web-1'))
  await directory.start()
  directory.onChange(() => {
    throw new Error('cannot forget')
  })
  let heard: string | undefined
  directory.onChange(() => {
    heard = instance()
  })
  await watched.replace(good('web-2'))
  await directory.reload()
  t.equal(heard, 'web-2', 'told when the new file already answers')
  t.ok(lines.some((line) => line.includes('cannot forget')))
  t.equal(directory.readiness().ready, true)
})

t.test('StaticDirectory warns of addresses that several ports share', async (t) => {
  const text = `
networks: [{id: net-a, project: a}]
ports:
- {network: net-a, mac: 'fa:16:3e:00:00:01', fixed_ips: [10.0.0.1]}
- {network: net-a, mac: 'fa:16:3e:00:00:02', fixed_ips: [10.0.0.1]}
`
  const { directory, lines } = await subject(t, systemClock, text)
  await directory.start()
  t.ok(lines.some((line) => line.includes('10.0.0.1 on network net-a')))
})
