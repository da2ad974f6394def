/** Is each job of the kit done in one place? What is written a second time drifts apart. */
import t from 'tap'
import { sourceFiles } from '../support/source-files.ts'

interface Mechanism {
  readonly what: string
  readonly pattern: RegExp
  /** The files that may have it. */
  readonly homes: readonly string[]
}

const mechanisms: readonly Mechanism[] = [
  {
    what: 'private sockets',
    pattern: /process\.umask\(/,
    homes: ['lib/sockets/private-socket.ts'],
  },
  {
    what: 'pauses that grow by powers of two (lib/runtime/backoff.ts)',
    pattern: /\* 2 \*\* \(?[a-zA-Z#]/,
    homes: [],
  },
  {
    what: 'jitter of pauses and periods (lib/runtime/backoff.ts)',
    pattern: /random\(\) [*/] \d/i,
    // The age of connections must not be longer than its limit.
    homes: ['lib/runtime/backoff.ts', 'agent-side/listeners/tls-listener.ts'],
  },
  {
    what: 'log lines of which only some are written',
    pattern: /suppressed \+= 1/,
    homes: ['lib/observe/log-window.ts'],
  },
  {
    what: 'processes of our own programs',
    pattern: /spawn\(process\.execPath/,
    homes: [
      'proxy/privileges/start-unprivileged.ts',
      'deploy/demo/daemons.ts',
      'deploy/demo/loopback-environment.ts',
    ],
  },
  {
    what: 'guards for mappings',
    pattern: /typeof (\w+) === 'object' && \1 !== null && !Array\.isArray\(\1\)/,
    homes: ['lib/runtime/mapping.ts'],
  },
  {
    what: 'readers of what /proc shows of a process',
    pattern: /\/proc(?:Folder\})?\/\$\{\w+\}\/(?:cgroup|cmdline|fd|limits|stat|status)\b/,
    // It checks a worker before it trusts it, thread by thread and word by word.
    homes: ['lib/host/process-facts.ts', 'proxy/privileges/privileges.ts'],
  },
  {
    what: 'tables of listening sockets',
    pattern: /\/net\/\$\{table\}/,
    homes: ['lib/host/port-listeners.ts'],
  },
  {
    what: 'writers of YAML',
    pattern: /(?<!JSON\.)\bstringify\(/,
    homes: ['lib/files/yaml.ts'],
  },
  {
    what: 'system calls on the descriptors of connections, without an error object for each',
    pattern: /declareCall\(/,
    homes: ['lib/linux/libc.ts', 'proxy/worker/raw/system-calls.ts'],
  },
]

for (const { what, pattern, homes } of mechanisms) {
  t.test(`${what} have one home`, async (t) => {
    const found = sourceFiles().filter(({ text }) => pattern.test(text))
    t.strictSame(
      found.map(({ path }) => path).filter((path) => !homes.includes(path)),
      [],
    )
    for (const home of homes)
      t.ok(
        found.some(({ path }) => path === home),
        `${home} still has it`,
      )
  })
}
