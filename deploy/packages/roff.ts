/** Text for man(1), in the macros of man(7). */

/** Plain text that man(1) shows as it is. */
export function roffText(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1')
}

/** A value in quotes, for the line of a macro. */
export function roffArgument(text: string): string {
  return `"${roffText(text).replaceAll('"', '\\(dq')}"`
}

/** A paragraph that begins with a word of its own. */
export function roffItem(term: string, text: string): string {
  return `.TP\n.B ${roffArgument(term)}\n${roffText(text)}\n`
}

/** Lines that keep their breaks. */
export function roffSample(lines: readonly string[]): string {
  return `.nf\n.RS\n${lines.map(roffText).join('\n')}\n.RE\n.fi\n`
}

/** Which build a page is of; the date as `2026-01-31`. */
export interface RoffEdition {
  readonly date: string
  readonly version: string
}

/** The beginning of a page. */
export function roffHead(
  name: string,
  section: number,
  summary: string,
  { date, version }: RoffEdition,
): string {
  const title = [name.toUpperCase(), String(section), date, `overlapd ${version}`]
  return `.TH ${title.map(roffArgument).join(' ')}\n.SH NAME\n${roffText(name)} \\- ${roffText(summary)}\n`
}
