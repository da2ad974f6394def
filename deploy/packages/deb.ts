/** How does a tree become a Debian package? */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bytes, Seconds } from '../../lib/runtime/clock.ts'
import type { Architecture } from './node-release.ts'
import { filesBelow } from './program-files.ts'
import { writeTree, type TreeEntry } from './tree-entry.ts'

/** What describes a package beside its files. */
export interface DebOptions {
  readonly version: string
  readonly architecture: Architecture
  /** `Name <address>` */
  readonly maintainer: string
  /** The folder of the maintainer scripts. */
  readonly scripts: string
  readonly when: Seconds
  /** From 0, quick and large, to 9. */
  readonly compression: number
}

/** What Node is linked with, the library that loads rules, and the programs that the scripts call. A container needs no systemd. */
const depends = [
  'libc6 (>= 2.28)',
  'libgcc-s1',
  'libstdc++6 (>= 9)',
  'libnftables1',
  'systemd (>= 247) | systemd-standalone-sysusers',
  'systemd (>= 247) | systemd-standalone-tmpfiles',
  'passwd',
]
/** Some commands of operators look into namespaces. */
const recommends = ['iproute2', 'nftables']

function controlText(options: DebOptions, installedSize: Bytes): string {
  const { version, architecture, maintainer } = options
  return `Package: overlapd
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(installedSize / 1024)}
Depends: ${depends.join(', ')}
Recommends: ${recommends.join(', ')}
Section: net
Priority: optional
Description: metadata service for instances on overlapping networks
 Serves 169.254.169.254 to the guests of OpenStack networks, also where
 many networks use the same addresses: each guest gets its own metadata and
 never another's. It takes the place of Neutron's metadata agent and of its
 haproxy in each namespace, one side at a time or both.
 .
 The package carries the Node.js that it runs on.
`
}

/**
 * Builds one package. The same entries give the same bytes.
 * @param folder is used for the tree, and is empty afterwards
 */
export function buildDeb(
  entries: readonly TreeEntry[],
  options: DebOptions,
  folder: string,
  archive: string,
): void {
  const root = join(folder, 'deb')
  rmSync(root, { recursive: true, force: true })
  writeTree(root, entries, options.when)
  const files = filesBelow(root)
  const contents = files.map((path) => ({ path, bytes: readFileSync(join(root, path)) }))
  const size = contents.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const control: Readonly<Record<string, string>> = {
    control: controlText(options, size),
    conffiles: files
      .filter((path) => path.startsWith('etc/'))
      .map((path) => `/${path}\n`)
      .join(''),
    md5sums: contents
      .map(({ path, bytes }) => `${createHash('md5').update(bytes).digest('hex')}  ${path}\n`)
      .join(''),
  }
  const about = join(root, 'DEBIAN')
  mkdirSync(about)
  const write = (name: string, text: string | Buffer, mode: number): void => {
    writeFileSync(join(about, name), text)
    chmodSync(join(about, name), mode)
    utimesSync(join(about, name), options.when, options.when)
  }
  for (const [name, text] of Object.entries(control)) write(name, text, 0o644)
  for (const name of ['postinst', 'prerm', 'postrm']) {
    write(name, readFileSync(join(options.scripts, name)), 0o755)
  }
  chmodSync(about, 0o755)
  utimesSync(about, options.when, options.when)
  // Writing into it gave the root a time of now.
  utimesSync(root, options.when, options.when)
  const form = ['--root-owner-group', '-Zxz', `-z${options.compression}`]
  execFileSync('dpkg-deb', [...form, '--build', root, archive], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: '/usr/bin:/bin', SOURCE_DATE_EPOCH: String(options.when) },
  })
  rmSync(root, { recursive: true })
}
