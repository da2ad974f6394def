/** Lines up the cells of a table for a terminal: two spaces between columns, none at the end of a line. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** A {@link textTable} under headings, with a rule between. */
export function headedTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const rule = headings.map((heading, column) =>
    '-'.repeat(Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0))),
  )
  return textTable([headings, rule, ...rows])
}

/**
 * Text from elsewhere as it may be shown on a terminal: control characters, with which a tenant could redraw an
 * operator's screen, become visible escapes.
 */
export function terminalText(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (sign) => {
    const code = sign.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}
