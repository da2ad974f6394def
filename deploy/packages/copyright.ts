/** Whose work is in a package, and under which licence? In Debian's machine-readable form (DEP 5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { programFolder } from './program-files.ts'

interface Part {
  readonly name: string
  readonly license: string
  readonly text: string
}

/** Each line one space deep, empty lines as a dot. */
function indented(text: string): string {
  const lines = text.trim().split(/\r?\n/)
  return lines.map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`)).join('\n')
}

function partIn(modules: string, name: string): Part | undefined {
  const folder = join(modules, name)
  if (!existsSync(join(folder, 'package.json'))) return undefined
  const { license = 'unknown' } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as { readonly license?: string }
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
  const text = file === undefined ? 'As in its package.' : readFileSync(join(folder, file), 'utf8')
  return { name, license, text }
}

function partsOf(modules: string): readonly Part[] {
  const names = readdirSync(modules).flatMap((name) =>
    name.startsWith('@')
      ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`)
      : [name],
  )
  return names.toSorted().flatMap((name) => partIn(modules, name) ?? [])
}

/** Debian has the text, and wants it referred to. */
const apacheText = 'The text is in /usr/share/common-licenses/Apache-2.0 on Debian systems.'

function paragraph(files: string, holder: string, license: string, text: string): string {
  const shown = license === 'Apache-2.0' ? apacheText : text
  return `Files: ${files}\nCopyright: ${holder}\nLicense: ${license}\n${indented(shown)}\n`
}

/**
 * @param production the folder with the packages of production
 * @param node the folder with Node's licence
 */
export function copyrightText(production: string, node: string): string {
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n',
    paragraph('*', 'the authors of overlapd', 'Apache-2.0', ''),
    ...partsOf(join(production, 'node_modules')).map(({ name, license, text }) =>
      paragraph(`${programFolder}/node_modules/${name}/*`, `the authors of ${name}`, license, text),
    ),
    paragraph(
      `${programFolder}/bin/node`,
      'the authors of Node.js and of what it contains',
      'MIT-and-others',
      readFileSync(join(node, 'LICENSE'), 'utf8'),
    ),
  ].join('\n')
}
