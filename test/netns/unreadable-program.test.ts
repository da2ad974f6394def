import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  fetchFrom,
  makeNamespaces,
  skipUnlessPrivileged,
  uniqueName,
  type MadeNamespace,
} from '../support/netns.ts'
import { openFolder, startProxyFrom, threadStatuses } from '../support/running-proxy.ts'

const projectRoot = fileURLToPath(new URL('../..', import.meta.url))

/** A copy of everything the program loads, in a folder that nobody but its owner may enter. */
function hiddenProgram(t: Test, owner: number): string {
  const home = join(openFolder(t), 'home')
  mkdirSync(home)
  for (const part of ['dist', 'package.json']) {
    cpSync(join(projectRoot, part), join(home, part), { recursive: true })
  }
  // A link would lead to a folder that others may enter.
  for (const name of packages()) {
    const from = join(projectRoot, 'node_modules', name)
    cpSync(from, join(home, 'node_modules', name), { recursive: true })
  }
  chownSync(home, owner, owner)
  chmodSync(home, 0o700)
  return join(home, 'dist/proxy/main.js')
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Every package that is needed to run, and those that they need. */
function packages(): Set<string> {
  const found = new Set<string>()
  const add = (folder: string): void => {
    const file = join(folder, 'package.json')
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest
    for (const name of Object.keys({
      ...manifest.dependencies,
      ...manifest.optionalDependencies,
    })) {
      const place = join(projectRoot, 'node_modules', name)
      if (found.has(name) || !existsSync(place)) continue
      found.add(name)
      add(place)
    }
  }
  add(projectRoot)
  return found
}

function makeRouter(t: Test): MadeNamespace {
  const [made] = makeNamespaces(t, [
    {
      netns: uniqueName(),
      addresses: ['10.0.0.1/24'],
      guest: { addresses: ['10.0.0.10/24'], via: ['10.0.0.1'] },
    },
  ])
  return made!
}

const nobody = 65_534
const privileges = ['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapAmb', 'NoNewPrivs']
const none = '0000000000000000'
const four = Array.from({ length: 4 }, () => String(nobody)).join('\t')
const wanted = `Uid ${four}, Gid ${four}, Groups, CapInh ${none}, CapPrm ${none}, CapEff ${none}, CapAmb ${none}, NoNewPrivs 1`

if (skipUnlessPrivileged(t)) {
  for (const [whose, owner] of [
    ["root's", 0],
    ["another user's", 1_234],
  ] as const) {
    t.test(
      `workers load a program in ${whose} closed folder and still end as the account nobody`,
      async (t) => {
        const router = makeRouter(t)
        const proxy = await startProxyFrom(t, hiddenProgram(t, owner), 'limits.timeout_drain=1s')
        const id = randomUUID()
        symlinkSync(`/run/netns/${router.netns}`, join(proxy.netnsFolder, `qrouter-${id}`))
        const { workers } = await proxy.until(
          'a router',
          ({ namespaces }) =>
            namespaces[0]?.state === 'serving' && namespaces[0].interception === 'applied',
        )

        for (let count = 0; count < 4; count += 1) {
          const answer = await fetchFrom(router.guest!, '/')
          t.match(answer.stdout, new RegExp(`"x-neutron-router-id":"${id}"`), answer.stderr)
        }
        t.match(
          (await fetchFrom(router.guest!, '/%zz\u0001')).stdout,
          /^HTTP\/1.1 400/,
          'refusals too',
        )
        t.match(await proxy.metrics(), /overlapd_proxy_requests_total/)
        for (const { pid, restarts } of workers) {
          t.equal(restarts, 0)
          const threads = threadStatuses(pid, privileges)
          t.ok(threads.length > 4)
          for (const thread of threads) t.equal(thread, wanted)
        }
        t.equal(await proxy.stop(), 0)
        t.notMatch(proxy.log(), /EACCES|Worker died/)
      },
    )
  }
}
