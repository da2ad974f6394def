import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { systemFiles } from '../../../deploy/packages/system-files.ts'
import { buildTarball } from '../../../deploy/packages/tarball.ts'
import { withoutDeadLinks } from '../../../deploy/packages/documents.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { projectRoot } from '../../support/source-files.ts'

const edition = { version: '1.2.3', maintainer: 'Somebody <somebody@example>', when: 1_700_000_000 }
const entries = systemFiles(projectRoot, edition)
const texts = new Map(
  entries.flatMap((entry) => ('text' in entry ? [[entry.path, entry.text]] : [])),
)

/** Why a check with a program is skipped; where privileges are required, programs are too. */
function without(program: string, debian: string): string | false {
  const isThere = spawnSync(program, ['--version']).error === undefined
  const isRequired = process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1'
  return isThere || isRequired ? false : `${program} is not installed (Debian: ${debian})`
}

t.test('a package has these files beside its program and its pages', async (t) => {
  const paths = entries.map(({ path }) => path).filter((path) => !path.includes('/doc/'))
  t.strictSame(paths.toSorted(), [
    'etc/overlapd/agent.yaml',
    'etc/overlapd/proxy.yaml',
    'usr/lib/systemd/system/overlapd-agent.service',
    'usr/lib/systemd/system/overlapd-audit.service',
    'usr/lib/systemd/system/overlapd-audit.timer',
    'usr/lib/systemd/system/overlapd-proxy.service',
    'usr/lib/sysusers.d/overlapd.conf',
    'usr/lib/tmpfiles.d/overlapd.conf',
    'usr/share/bash-completion/completions/overlapd',
    'usr/share/bash-completion/completions/overlapd-agent',
    'usr/share/bash-completion/completions/overlapd-proxy',
    'usr/share/fish/vendor_completions.d/overlapd-agent.fish',
    'usr/share/fish/vendor_completions.d/overlapd-proxy.fish',
    'usr/share/fish/vendor_completions.d/overlapd.fish',
    'usr/share/lintian/overrides/overlapd',
    'usr/share/man/man1/overlapd.1.gz',
    'usr/share/man/man5/overlapd-agent.yaml.5.gz',
    'usr/share/man/man5/overlapd-proxy.yaml.5.gz',
    'usr/share/man/man8/overlapd-agent.8.gz',
    'usr/share/man/man8/overlapd-haproxy.8.gz',
    'usr/share/man/man8/overlapd-proxy.8.gz',
    'usr/share/zsh/vendor-completions/_overlapd',
    'usr/share/zsh/vendor-completions/_overlapd-agent',
    'usr/share/zsh/vendor-completions/_overlapd-proxy',
  ])
})

t.test('each relative link of a page in a package leads to a file of it', async (t) => {
  const pages = [...texts].filter(([path]) => path.endsWith('.md'))
  t.ok(pages.length > 15)
  for (const [path, text] of pages) {
    for (const [, target = ''] of String(text).matchAll(/\]\(([^)\s#]+)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      t.ok(texts.has(posix.join(posix.dirname(path), target)), `${path} links to ${target}`)
    }
  }
})

t.test('a link to what does not come along becomes text', async (t) => {
  const text = 'see [a](test/a.md), [b](b.md#c) and [d](https://d.example)'
  const shown = withoutDeadLinks('x.md', text, new Set(['b.md']))
  t.equal(shown, 'see a, [b](b.md#c) and [d](https://d.example)')
})

t.test('the same files make the same archive, whatever the umask is', async (t) => {
  const folder = scratchFolder(t)
  const archives = [0o022, 0o077].map((mask) => {
    const before = process.umask(mask)
    const archive = join(folder, `${mask}.tar.gz`)
    try {
      buildTarball(entries, { name: 'overlapd-1.2.3', when: edition.when }, folder, archive)
    } finally {
      process.umask(before)
    }
    return readFileSync(archive)
  })
  t.ok(archives[0]?.equals(archives[1] ?? Buffer.alloc(0)))
  const listed = execFileSync('tar', ['-tvf', join(folder, '18.tar.gz')], { encoding: 'utf8' })
  t.match(
    listed,
    /^-rw-r--r-- 0\/0 +\d+ 2023-11-14 .* overlapd-1\.2\.3\/etc\/overlapd\/agent\.yaml$/m,
  )
})

t.test(
  'man(1) has no complaint about the manual',
  { skip: without('man', 'man-db') },
  async (t) => {
    const folder = scratchFolder(t)
    for (const [path, text] of texts) {
      if (!path.startsWith('usr/share/man/')) continue
      const file = join(folder, path.split('/').at(-1)?.replace('.gz', '') ?? '')
      const page = gunzipSync(text).toString()
      writeFileSync(file, page)
      const options = ['--warnings', '-E', 'UTF-8', '-l', file]
      const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '100', MANROFFSEQ: '' }
      const { status, stdout, stderr } = spawnSync('man', options, { encoding: 'utf8', env })
      t.strictSame([status, stderr], [0, ''], path)
      t.match(stdout, /^NAME\n +overlapd/m, path)
    }
  },
)

t.test('bash completes commands, options and files', async (t) => {
  const folder = scratchFolder(t)
  const completed = (program: string, ...words: readonly string[]): string => {
    const file = join(folder, program)
    writeFileSync(file, texts.get(`usr/share/bash-completion/completions/${program}`) ?? '')
    const line = [program, ...words].map((word) => `'${word}'`).join(' ')
    const call = `_${program.replaceAll('-', '_')}`
    const script = `source ${file}; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; ${call}; echo "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', script], { encoding: 'utf8', cwd: folder }).trim()
  }
  t.equal(completed('overlapd', 'exp'), 'explain')
  t.equal(completed('overlapd', 'help', 'doc'), 'doctor')
  t.equal(completed('overlapd', 'explain', '--rout'), '--router')
  t.equal(completed('overlapd-proxy', 'list', '--js'), '--json')
  t.equal(completed('overlapd-agent', 'check', '--config', 'overlapd-a'), 'overlapd-agent')
  t.equal(completed('overlapd-agent', 'check', '--set', ''), '')
})

t.test('scripts of a package can be read by a shell', async (t) => {
  for (const name of ['postinst', 'prerm', 'postrm']) {
    const file = join(projectRoot, 'deploy/packages/debian', name)
    const { status, stderr } = spawnSync('sh', ['-n', file], { encoding: 'utf8' })
    t.strictSame([status, stderr], [0, ''], name)
  }
})

/** The least exposure that each unit keeps to, from 0 to 10 in tenths. */
const exposure = { 'overlapd-agent': 22, 'overlapd-proxy': 33, 'overlapd-audit': 17 } as const

t.test(
  'systemd accepts the units, and finds them as closed as they were',
  { skip: without('systemd-analyze', 'systemd') },
  async (t) => {
    const root = scratchFolder(t)
    const units = join(root, 'usr/lib/systemd/system')
    mkdirSync(units, { recursive: true })
    // What the units refer to: targets of systemd, and programs that can be run.
    const host = '/usr/lib/systemd/system'
    for (const name of readdirSync(host).filter((each) => each.endsWith('.target'))) {
      copyFileSync(join(host, name), join(units, name))
    }
    for (const path of [
      'usr/bin/overlapd',
      'usr/bin/overlapd-agent',
      'usr/bin/overlapd-proxy',
      'bin/kill',
    ]) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), '')
      chmodSync(join(root, path), 0o755)
    }
    const names = [...texts.keys()].filter((path) => path.includes('/systemd/system/'))
    for (const path of names) writeFileSync(join(root, path), texts.get(path) ?? '')
    const analyze = (...args: readonly string[]): { status: number | null; said: string } => {
      const options = { encoding: 'utf8' } as const
      const { status, stdout, stderr } = spawnSync(
        'systemd-analyze',
        [...args, `--root=${root}`],
        options,
      )
      return { status, said: `${stdout}${stderr}` }
    }
    const files = names.map((path) => path.split('/').at(-1) ?? '')
    t.strictSame(analyze('verify', '--man=no', ...files), { status: 0, said: '' })
    for (const [name, limit] of Object.entries(exposure)) {
      const { status, said } = analyze(
        'security',
        '--offline=true',
        `--threshold=${limit}`,
        `${name}.service`,
      )
      t.equal(status, 0, said.split('\n').at(-2) ?? name)
    }
  },
)
