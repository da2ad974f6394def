/** Which files does the running program need? The build, the packages it imports, and Node. */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { join, posix, relative } from 'node:path'
import { nodeReleases, type Architecture } from './node-release.ts'
import type { TreeEntry } from './tree-entry.ts'

/** Where all of it lies on a host. */
export const programFolder = 'usr/lib/overlapd'

/** What the project's package.json has. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly bin: Readonly<Record<string, string>>
}

/** @param root the project's folder */
export function readManifest(root: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
}

/** All files below a folder, sorted, with slashes. */
export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted()
}

/** Of the build, what no operator runs. */
const unshippedBuild =
  /^(?:test|packages|deploy\/packages)\/|^\.|\.map$|(?:^|\/)tsconfig.*\.json$|\.tsbuildinfo$/

/** Of packages, what nothing loads: documents, types, sources of native code, and a build for another C library. */
const unshippedPackage = new RegExp(
  [
    String.raw`(?:^|/)\.`,
    String.raw`\.(?:md|markdown|map|[cm]?ts|flow|ya?ml|html|sh)$`,
    String.raw`^(?:@[^/]+/)?[^/]+/(?:test|tests|docs?|examples?|benchmarks?)/`,
    String.raw`^koffi/(?:vendor/|src/koffi/(?!.*\.c?js$)|cnoke)`,
    String.raw`/musl_[^/]+/`,
  ].join('|'),
)
const licence = /(?:^|\/)(?:licen[cs]e|notice|copying)[^/]*$/i

/** The build, the commands in `usr/bin`, and a manifest that holds what the program reads of it. */
export function buildFiles(root: string, manifest: Manifest): readonly TreeEntry[] {
  const dist = join(root, 'dist')
  const programs = new Set(Object.values(manifest.bin))
  const { name, version, license } = manifest
  return [
    ...filesBelow(dist)
      .filter((path) => !unshippedBuild.test(path))
      .map((path): TreeEntry => {
        const to = `${programFolder}/dist/${path}`
        if (!programs.has(`dist/${path}`))
          return { path: to, copyOf: join(dist, path), mode: 0o644 }
        const text = readFileSync(join(dist, path), 'utf8')
        // The Node of the package, whatever the host has.
        return {
          path: to,
          text: text.replace(/^#!.*/, `#!/${programFolder}/bin/node`),
          mode: 0o755,
        }
      }),
    {
      path: `${programFolder}/package.json`,
      text: `${JSON.stringify({ name, version, license, private: true, type: 'module' }, undefined, 2)}\n`,
      mode: 0o644,
    },
    ...Object.entries(manifest.bin).map(([command, path]) => ({
      path: `usr/bin/${command}`,
      linkTo: posix.relative('usr/bin', `${programFolder}/${path}`),
    })),
  ]
}

/**
 * Installs the packages of production, as package-lock.json has them, for a machine that need not be this one.
 * @param folder becomes a project of its own
 */
export function installProduction(root: string, folder: string, architecture: Architecture): void {
  mkdirSync(folder, { recursive: true })
  for (const name of ['package.json', 'package-lock.json']) {
    copyFileSync(join(root, name), join(folder, name))
  }
  const machine = ['--os=linux', `--cpu=${nodeReleases[architecture].cpu}`, '--libc=glibc']
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  execFileSync('npm', ['ci', '--omit=dev', '--ignore-scripts', ...machine, ...quiet], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  // npm would miss the packages for development in any later look at the folder.
  const { devDependencies: _, ...manifest } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown>
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
}

/** @param folder as {@link installProduction} left it */
export function packageFiles(folder: string): readonly TreeEntry[] {
  const modules = join(realpathSync(folder), 'node_modules')
  return filesBelow(modules)
    .filter((path) => licence.test(path) || !unshippedPackage.test(path))
    .map((path) => ({
      path: `${programFolder}/node_modules/${path}`,
      copyOf: join(modules, path),
      mode: 0o644,
    }))
}

/** @param folder as `fetchNode` left it */
export function nodeFiles(folder: string): readonly TreeEntry[] {
  return [
    { path: `${programFolder}/bin/node`, copyOf: join(folder, 'bin/node'), mode: 0o755 },
    { path: `${programFolder}/bin/LICENSE`, copyOf: join(folder, 'LICENSE'), mode: 0o644 },
  ]
}
