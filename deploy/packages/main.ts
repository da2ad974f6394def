/** `npm run package`: makes what is given to operators. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runProgram, UsageError, type CommandCall } from '../../lib/cli/command.ts'
import type { Seconds } from '../../lib/runtime/clock.ts'
import { billOfMaterials } from './bill-of-materials.ts'
import { copyrightText } from './copyright.ts'
import { buildDeb } from './deb.ts'
import { documentFolder } from './documents.ts'
import { architectures, fetchNode, nodeReleases, type Architecture } from './node-release.ts'
import {
  buildFiles,
  installProduction,
  nodeFiles,
  packageFiles,
  readManifest,
} from './program-files.ts'
import { systemFiles } from './system-files.ts'
import { buildTarball } from './tarball.ts'

/** Above `dist/deploy/packages`. */
const root = fileURLToPath(new URL('../../..', import.meta.url))

function architectureOf(text: string): Architecture {
  const found = architectures.find((each) => each === text)
  if (found === undefined) throw new UsageError(`--arch must be one of ${architectures.join(', ')}`)
  return found
}

/** Everything in a package is as old as the commit it is made of. */
function buildTime(environment: CommandCall['terminal']['environment']): Seconds {
  const given = environment['SOURCE_DATE_EPOCH']
  const text = given ?? execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root }).toString()
  const when = Number(text)
  if (!Number.isSafeInteger(when)) throw new UsageError('SOURCE_DATE_EPOCH must be a whole number')
  return when
}

/** From the variables that Debian's own tools read. */
function maintainerOf(environment: CommandCall['terminal']['environment']): string {
  const { DEBFULLNAME: name = 'overlapd', DEBEMAIL: address = 'root@localhost' } = environment
  return `${name} <${address}>`
}

function makePackages({ options, terminal }: CommandCall): number {
  const architecture = architectureOf(options.text('arch') ?? 'amd64')
  const manifest = readManifest(root)
  const version = options.text('release') ?? manifest.version
  const out = options.text('out') ?? join(root, 'dist/packages')
  const when = buildTime(terminal.environment)
  const scratch = mkdtempSync(join(tmpdir(), 'overlapd-package-'))
  try {
    const node = join(scratch, 'node')
    const production = join(scratch, 'production')
    terminal.error('overlapd: fetching Node and the packages of production\n')
    fetchNode(architecture, node)
    installProduction(root, production, architecture)
    const bill = billOfMaterials(production, when)
    const maintainer = maintainerOf(terminal.environment)
    const edition = { version, maintainer, when }
    const entries = [
      ...buildFiles(root, { ...manifest, version }),
      ...packageFiles(production),
      ...nodeFiles(node),
      ...systemFiles(root, edition),
      {
        path: `${documentFolder}/copyright`,
        text: copyrightText(production, node),
        mode: 0o644,
      } as const,
      { path: `${documentFolder}/sbom.cdx.json`, text: bill, mode: 0o644 } as const,
    ]
    mkdirSync(out, { recursive: true })
    const deb = join(out, `overlapd_${version}_${architecture}.deb`)
    const name = `overlapd-${version}-linux-${nodeReleases[architecture].cpu}`
    const tarball = join(out, `${name}.tar.gz`)
    terminal.error('overlapd: packing\n')
    const scripts = join(root, 'deploy/packages/debian')
    const compression = options.integer('level', { min: 0, max: 9 }) ?? 6
    const about = { version, architecture, maintainer, scripts, when, compression }
    buildDeb(entries, about, scratch, deb)
    if (!options.flag('debOnly')) {
      const notes = readFileSync(join(root, 'deploy/packages/INSTALL.md'), 'utf8')
      const withNotes = [...entries, { path: 'INSTALL.md', text: notes, mode: 0o644 } as const]
      buildTarball(withNotes, { name, when }, scratch, tarball)
      writeFileSync(join(out, `${name}.cdx.json`), bill)
    }
    for (const archive of options.flag('debOnly') ? [deb] : [deb, tarball]) {
      const hash = createHash('sha256').update(readFileSync(archive)).digest('hex')
      terminal.out(`${hash}  ${archive}\n`)
    }
    return 0
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

process.exitCode = await runProgram(
  {
    name: 'npm run package --',
    description:
      'Makes a Debian package and an archive for other hosts, each with the Node it runs on.',
    commands: [
      {
        name: 'make',
        isDefault: true,
        summary: 'make them (the default)',
        options: [
          { flags: '--arch <name>', help: architectures.join(' or '), defaultText: 'amd64' },
          { flags: '--out <folder>', help: 'where to', defaultText: 'dist/packages' },
          { flags: '--release <version>', help: 'instead of the one in package.json' },
          { flags: '--level <number>', help: 'how much to compress, 0 to 9', defaultText: '6' },
          { flags: '--deb-only', help: 'leave out the archive' },
        ],
        run: makePackages,
      },
    ],
  },
  process.argv.slice(2),
)
