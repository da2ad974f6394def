/** What of a package is for the host rather than for the program: units, accounts, settings, manual, completions, pages. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { agentProgram } from '../../agent-side/cli.ts'
import { agentConfig } from '../../agent-side/config/config.ts'
import type { Seconds } from '../../lib/runtime/clock.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { proxyConfig } from '../../proxy/config/config.ts'
import { operatorProgram } from '../overlapd/operator-program.ts'
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts'
import { documentFiles, documentFolder } from './documents.ts'
import { configurationPage, programPage } from './man-pages.ts'
import type { RoffEdition } from './roff.ts'
import type { TreeEntry } from './tree-entry.ts'

const file = (path: string, text: string | Buffer): TreeEntry => ({ path, text, mode: 0o644 })

/** Which build it is. */
export interface Edition {
  readonly version: string
  /** `Name <address>` */
  readonly maintainer: string
  readonly when: Seconds
}

/** As Debian's tools read it; the changes are in CHANGELOG.md. */
function debianChangelog({ version, maintainer, when }: Edition): string {
  const date = new Date(when * 1_000).toUTCString().replace('GMT', '+0000')
  return `overlapd (${version}) unstable; urgency=medium

  * What changed: ${documentFolder}/CHANGELOG.md.

 -- ${maintainer}  ${date}
`
}

/** @param root the project's folder */
export function systemFiles(root: string, edition: Edition): readonly TreeEntry[] {
  const date = new Date(edition.when * 1_000).toISOString().slice(0, 10)
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')
  const units = readdirSync(join(root, 'deploy/systemd')).filter((name) =>
    /\.(?:service|timer)$/.test(name),
  )
  return [
    ...units.map((name) => file(`usr/lib/systemd/system/${name}`, read(`deploy/systemd/${name}`))),
    file('usr/lib/sysusers.d/overlapd.conf', read('deploy/systemd/overlapd.sysusers.conf')),
    file('usr/lib/tmpfiles.d/overlapd.conf', read('deploy/systemd/overlapd.tmpfiles.conf')),
    file('etc/overlapd/agent.yaml', read('deploy/packages/etc/agent.yaml')),
    file('etc/overlapd/proxy.yaml', read('deploy/packages/etc/proxy.yaml')),
    ...manual(root, { version: edition.version, date }),
    ...completions(),
    ...documentFiles(root),
    file('usr/share/doc/overlapd/changelog.gz', zipped(debianChangelog(edition))),
    file('usr/share/lintian/overrides/overlapd', read('deploy/packages/debian/overrides')),
  ]
}

/** Without the name and time that gzip would note. */
function zipped(text: string): Buffer {
  return gzipSync(text, { level: 9 })
}

function manual(root: string, edition: RoffEdition): readonly TreeEntry[] {
  const daemons = 'overlapd-agent(8), overlapd-proxy(8)'
  const pages: readonly (readonly [name: string, text: string])[] = [
    [
      'overlapd.1',
      programPage(
        operatorProgram(),
        { section: 1, summary: 'inspect the metadata service of this host', seeAlso: daemons },
        edition,
      ),
    ],
    [
      'overlapd-agent.8',
      programPage(
        agentProgram,
        {
          section: 8,
          summary: 'metadata agent for instances on overlapping networks',
          seeAlso: 'overlapd(1), overlapd-proxy(8), overlapd-agent.yaml(5)',
        },
        edition,
      ),
    ],
    [
      'overlapd-proxy.8',
      programPage(
        proxyProgram,
        {
          section: 8,
          summary: 'metadata proxy for instances on overlapping networks',
          seeAlso: 'overlapd(1), overlapd-agent(8), overlapd-proxy.yaml(5), overlapd-haproxy(8)',
        },
        edition,
      ),
    ],
    ['overlapd-agent.yaml.5', configurationPage('overlapd-agent', agentConfig, edition)],
    ['overlapd-proxy.yaml.5', configurationPage('overlapd-proxy', proxyConfig, edition)],
    [
      'overlapd-haproxy.8',
      readFileSync(join(root, 'deploy/packages/overlapd-haproxy.8'), 'utf8')
        .replaceAll('@DATE@', edition.date)
        .replaceAll('@VERSION@', edition.version),
    ],
  ]
  return pages.map(([name, text]) =>
    file(`usr/share/man/man${name.slice(-1)}/${name}.gz`, zipped(text)),
  )
}

function completions(): readonly TreeEntry[] {
  return [operatorProgram(), agentProgram, proxyProgram].flatMap((program) => [
    file(`usr/share/bash-completion/completions/${program.name}`, bashCompletion(program)),
    file(`usr/share/zsh/vendor-completions/_${program.name}`, zshCompletion(program)),
    file(`usr/share/fish/vendor_completions.d/${program.name}.fish`, fishCompletion(program)),
  ])
}
