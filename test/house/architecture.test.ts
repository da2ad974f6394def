import { existsSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { projectRoot, sourceFiles } from '../support/source-files.ts'

interface Import {
  readonly from: string
  /** A path of the project, or the name of a package. */
  readonly to: string
}

/** Files that match `from` must not import what matches `to`, unless one of `except` says `from -> to`. */
interface Rule {
  readonly from: RegExp
  readonly to: RegExp
  readonly except?: RegExp
  readonly reason: string
}

const rules: readonly Rule[] = [
  {
    from: /^lib\//,
    to: /^(?:proxy|agent-side)\//,
    reason: 'lib/ has the words that both sides share and knows neither of them',
  },
  {
    from: /^(?:lib|proxy|agent-side)\//,
    to: /^deploy\//,
    reason: 'deploy/ is built of the sides and of lib/, never the other way round',
  },
  {
    from: /^proxy\//,
    to: /^agent-side\//,
    reason:
      'the boundary between the sides is a boundary of privilege: proxy/ has capabilities and no secret',
  },
  {
    from: /^agent-side\//,
    to: /^proxy\//,
    reason:
      'the boundary between the sides is a boundary of privilege: agent-side/ has the secret and no capabilities',
  },
  {
    from: /^(?:lib|proxy|agent-side|deploy)\//,
    to: /^test\//,
    reason: 'production never needs its tests',
  },
  {
    from: /^agent-side\//,
    to: /^lib\/linux\/(?!(?:sd-notify|peer-credentials)\.ts$)/,
    reason:
      'the agent makes two system calls that Node does not offer: it notifies the service manager and reads the account of a peer',
  },
  {
    from: /^lib\/(?!linux\/)/,
    to: /^lib\/linux\//,
    reason: 'lib/linux/ loads foreign functions: a daemon decides where, not what it shares',
  },
  {
    from: /^agent-side\/ports\//,
    to: /^agent-side\/(?!ports\/)/,
    reason: 'a port directory knows nothing of resolving, HTTP or compute above it',
  },
  {
    from: /^agent-side\/resolve\//,
    to: /^agent-side\/(?:compute|compute-dev|admin|ports\/(?!directory\/))/,
    reason: 'the resolver asks the interface; which directory answers is not its business',
  },
  {
    from: /^agent-side\/compute\//,
    to: /^agent-side\/(?:ports|admin|compute-dev)\//,
    except: /^agent-side\/compute\/.* -> agent-side\/ports\/directory\//,
    reason: 'compute/ does not know where ports come from',
  },
  {
    from: /^agent-side\/.+\//,
    to: /^agent-side\/(?:main|cli|compose)\.ts$/,
    reason: 'arrows point from main over cli and compose to the parts, never back',
  },
  {
    from: /^proxy\/.+\//,
    to: /^proxy\/(?:main|cli|compose)\.ts$/,
    reason: 'arrows point from main over cli and compose to the parts, never back',
  },
  {
    from: /^proxy\//,
    to: /^(?:zod|amqplib|lib\/files\/schema\.ts)$/,
    reason: 'the supervisor and the workers stay small in memory',
  },
  {
    from: /^proxy\/worker\//,
    to: /^(?:yaml|hono.*|@hono\/.*|commander|koffi|lib\/(?:files\/yaml|config|cli|http\/(?:serve|admin-app)).*)$/,
    reason: 'there are many workers: what one loads is paid many times',
  },
]

/** The only importers of each package, so that swapping it touches one place. */
const gatekeepers: Readonly<Record<string, { readonly files: RegExp; readonly reason: string }>> = {
  koffi: {
    files: /^(?:lib\/linux\/libc|proxy\/netlink\/nftables)\.ts$/,
    reason:
      "foreign functions are declared in one file that can be read in one go; netfilter's library, which only the supervisor loads, in its own",
  },
  amqplib: {
    files: /^agent-side\/ports\/neutron-rpc\//,
    reason: 'AMQP is the business of one directory',
  },
  yaml: { files: /^lib\/files\/yaml\.ts$/, reason: 'one file sets the limits on what YAML may do' },
  zod: { files: /^lib\/files\/schema\.ts$/, reason: 'one file knows which package reads schemas' },
  'ipaddr.js': {
    files: /^lib\/identity\/ip-address\.ts$/,
    reason: 'two readers must never see two addresses in one text',
  },
  pino: { files: /^lib\/runtime\/log\.ts$/, reason: 'one file sets what is redacted' },
  'prom-client': {
    files: /^lib\/observe\/metrics\.ts$/,
    reason: 'its global registry must not be reached',
  },
  commander: {
    files: /^(?:lib\/(?:cli|operator)|deploy\/overlapd)\//,
    reason: 'all binaries share one grammar',
  },
  hono: {
    files:
      /^(?:lib\/http\/(?:admin-app|audit-routes|events-route|serve)\.ts|proxy\/admin\/|agent-side\/(?:admin|compute-dev)\/|deploy\/page\/)/,
    reason: "operators' apps may be convenient; guests' paths write to raw sockets",
  },
  '@hono/node-server': {
    files: /^(?:lib\/http\/serve\.ts|agent-side\/compute-dev\/)/,
    reason: 'one file decides how an app is served and drained',
  },
  'lru-cache': {
    files: /^agent-side\//,
    reason: 'what is remembered about instances is remembered by the agent alone',
  },
}

function packageName(specifier: string): string {
  const [scope, name] = specifier.split('/')
  return specifier.startsWith('@') ? `${scope}/${name}` : (scope ?? specifier)
}

function resolved(from: string, specifier: string): string {
  return specifier.startsWith('.')
    ? posix.join(posix.dirname(from), specifier)
    : packageName(specifier)
}

function importsOf(path: string, text: string): readonly Import[] {
  // `preProcessFile` sees type imports and `import()` as well: a type is a dependency of its reader.
  const { importedFiles } = ts.preProcessFile(text, true, true)
  return importedFiles.map((file) => ({ from: path, to: resolved(path, file.fileName) }))
}

const files = sourceFiles()
const imports = files.flatMap(({ path, text }) => importsOf(path, text))

t.test('the tests of the architecture see the imports of production', async (t) => {
  t.ok(imports.some(({ from, to }) => from === 'lib/runtime/log.ts' && to === 'pino'))
  t.ok(
    imports.some(
      ({ from, to }) => from === 'lib/runtime/errors.ts' && to === 'lib/runtime/reason-codes.ts',
    ),
  )
  t.ok(
    imports.some(
      ({ from, to }) => from === 'deploy/overlapd/demo-command.ts' && to === 'deploy/demo/demo.ts',
    ),
  )
})

for (const { from, to, except, reason } of rules) {
  t.test(`${from.source} does not import ${to.source}: ${reason}`, async (t) => {
    const broken = imports.filter(
      (each) =>
        from.test(each.from) &&
        to.test(each.to) &&
        except?.test(`${each.from} -> ${each.to}`) !== true,
    )
    t.strictSame(
      broken.map((each) => `${each.from} -> ${each.to}`),
      [],
    )
  })
}

t.test('every side of a rule still exists', async (t) => {
  const known = [...files.map(({ path }) => path), ...Object.keys(gatekeepers)]
  const planned = /^\^(?:proxy|agent-side)/
  for (const { from } of rules) {
    t.ok(known.some((path) => from.test(path)) || planned.test(from.source), from.source)
  }
})

for (const [name, { files: allowed, reason }] of Object.entries(gatekeepers)) {
  t.test(`${name} is imported by its gatekeeper alone: ${reason}`, async (t) => {
    const importers = imports.filter(({ to }) => to === name).map(({ from }) => from)
    t.ok(existsSync(join(projectRoot, 'node_modules', name)), 'the package is installed')
    t.ok(importers.length > 0, 'somebody imports it')
    t.strictSame(
      importers.filter((from) => !allowed.test(from)),
      [],
    )
  })
}

t.test('every imported package has a gatekeeper', async (t) => {
  const strange = imports.filter(
    ({ to }) =>
      !to.includes('.ts') &&
      !to.endsWith('.mjs') &&
      !isBuiltin(to) &&
      !Object.hasOwn(gatekeepers, to),
  )
  t.strictSame(
    strange.map(({ from, to }) => `${from} -> ${to}`),
    [],
  )
})

t.test(
  'only the registry imports concrete port directories, and none imports another',
  async (t) => {
    const directory = /^agent-side\/ports\/([^/]+)\//
    const broken = imports.filter(({ from, to }) => {
      const reached = directory.exec(to)?.[1]
      if (reached === undefined) return false
      const inside = directory.exec(from)?.[1]
      return inside === undefined
        ? from.startsWith('agent-side/ports/') && !from.endsWith('/registry.ts')
        : inside !== reached && reached !== 'directory'
    })
    t.strictSame(
      broken.map(({ from, to }) => `${from} -> ${to}`),
      [],
    )
  },
)

t.test('no imports go in a circle, those of types included', async (t) => {
  t.strictSame(circles(imports), [])
})

t.test('a circle of imports would be found', async (t) => {
  const chain = [
    { from: 'a.ts', to: 'b.ts' },
    { from: 'b.ts', to: 'c.ts' },
  ]
  t.strictSame(circles(chain), [])
  t.strictSame(circles([...chain, { from: 'c.ts', to: 'a.ts' }]), ['a.ts -> b.ts -> c.ts -> a.ts'])
})

t.test('at the root of a side lie its three beginnings and nothing else', async (t) => {
  const loose = files
    .map(({ path }) => path)
    .filter((path) => /^(?:proxy|agent-side|lib|deploy)\/[^/]+$/.test(path))
    .filter((path) => !/^(?:proxy|agent-side)\/(?:main|cli|compose)\.ts$/.test(path))
  t.strictSame(loose, [])
})

t.test('Node is imported by its node: names', async (t) => {
  const bare = imports.filter(({ to }) => isBuiltin(to) && !to.startsWith('node:'))
  t.strictSame(bare, [])
})

/**
 * OpenSSL's own variable counts wherever a connection is secured, as it does for every other program of the machine; systemd's says whose
 * standard output is, to whatever logs.
 */
const readersOfEnvironment: ReadonlySet<string> = new Set([
  'lib/cli/terminal.ts',
  'lib/files/system-authorities.ts',
  'lib/runtime/journal.ts',
])

t.test('nothing but the terminal and the system authorities read the environment', async (t) => {
  const readers = files.filter(
    ({ path, text }) =>
      /\bprocess\.env\b/.test(withoutComments(text)) && !readersOfEnvironment.has(path),
  )
  t.strictSame(
    readers.map(({ path }) => path),
    [],
  )
})

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '')
}

/** @returns each circle once, from where it was found */
function circles(all: readonly Import[]): readonly string[] {
  const importsBy = new Map<string, Import[]>()
  for (const each of all) {
    const known = importsBy.get(each.from)
    if (known === undefined) importsBy.set(each.from, [each])
    else known.push(each)
  }
  const found: string[] = []
  const done = new Set<string>()
  const walk = (path: string, way: readonly string[]): void => {
    const begin = way.indexOf(path)
    if (begin >= 0) found.push([...way.slice(begin), path].join(' -> '))
    if (begin >= 0 || done.has(path)) return
    for (const { to } of importsBy.get(path) ?? []) walk(to, [...way, path])
    done.add(path)
  }
  for (const path of importsBy.keys()) walk(path, [])
  return found
}
