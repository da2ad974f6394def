/** What is a package made of? A CycloneDX document, as `npm sbom` makes it, with Node added. */
import { execFileSync } from 'node:child_process'
import type { Seconds } from '../../lib/runtime/clock.ts'
import { nodeVersion } from './node-release.ts'

interface Document {
  readonly metadata: { readonly component: Readonly<Record<string, unknown>> }
  readonly components: readonly unknown[]
  readonly serialNumber?: string
}

/**
 * @param production the folder with the packages of production
 * @param when instead of the time of the build, so that two builds are the same
 */
export function billOfMaterials(production: string, when: Seconds): string {
  const text = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev'], {
    cwd: production,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // The serial number is drawn anew each time.
  const { serialNumber: _, ...document } = JSON.parse(text) as Document
  const node = {
    'bom-ref': `node@${nodeVersion}`,
    type: 'application',
    name: 'node',
    version: nodeVersion,
    purl: `pkg:generic/node@${nodeVersion}`,
  }
  // npm names what it describes for the folder that it lies in.
  const component = { ...document.metadata.component, type: 'application', name: 'overlapd' }
  const timestamp = new Date(when * 1_000).toISOString()
  const whole = {
    ...document,
    metadata: { ...document.metadata, timestamp, component },
    components: [...document.components, node],
  }
  return `${JSON.stringify(whole, undefined, 2)}\n`
}
