/** Which Node comes with the packages, and from where? */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Machines for which packages are made, by Debian's names. */
export const architectures = ['amd64', 'arm64'] as const
/** One of them. */
export type Architecture = (typeof architectures)[number]

/** An LTS release until April 2028. Change version and hashes together: `npm view PACKAGE@VERSION dist.integrity`. */
export const nodeVersion = '24.22.3'

/** What npm, and Node in `process.arch`, call the machine, and the hash of its package of that version. */
export const nodeReleases: Readonly<
  Record<Architecture, { readonly cpu: string; readonly integrity: string }>
> = {
  amd64: {
    cpu: 'x64',
    integrity:
      'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  },
  arm64: {
    cpu: 'arm64',
    integrity:
      'sha512-IZx0J52/1NDwAsY2iyWR9nlPIYuYviTWetjj8+ElvYQh2+XRhLfCfkbFEF/2O5vGI2hcUbyPNHV+nz342FbJXw==',
  },
}

/**
 * Fetches the program and its licence from the npm registry, through npm and its cache.
 * @param folder receives `bin/node` and `LICENSE`
 * @throws where the registry has something else than was pinned
 */
export function fetchNode(architecture: Architecture, folder: string): void {
  const { cpu, integrity } = nodeReleases[architecture]
  mkdirSync(folder, { recursive: true })
  const name = `node-linux-${cpu}`
  const quiet = ['--prefer-offline', '--loglevel=error', '--pack-destination', folder]
  execFileSync('npm', ['pack', ...quiet, `${name}@${nodeVersion}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const archive = join(folder, `${name}-${nodeVersion}.tgz`)
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (found !== integrity) throw new Error(`${archive} is ${found}, not the pinned ${integrity}`)
  const members = ['package/bin/node', 'package/LICENSE']
  execFileSync('tar', ['-xzf', archive, '-C', folder, '--strip-components=1', ...members])
  rmSync(archive)
}
