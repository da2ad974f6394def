import type { OsloConfig } from '../../lib/oslo/oslo-config.ts'
import { closest } from '../../lib/config/suggestion.ts'
import { textTable } from '../../lib/observe/text-table.ts'
import { neutronOptions, type NeutronOption } from './neutron-options.ts'
import type { Fitting } from './fit-settings.ts'
import { namesAgainst, reasonAgainst } from './not-applicable.ts'
import type { ReportRow, Translation } from './translation.ts'

function from({ file, line }: { readonly file: string; readonly line: number }): string {
  return `${file}:${line}`
}

/** A name that was probably meant, of the same group: in a group of ours a name that no code reads is a mistake. */
function nearestName(group: string, name: string): string | undefined {
  const own = Object.values(neutronOptions)
    .filter((option) => option.group === group)
    .map((option) => option.name)
  return closest(name, [...own, ...namesAgainst(group)])
}

/** What became of each option that the files set: taken over and as what, not applicable and why, or not read at all. */
export function neutronReport(
  config: OsloConfig,
  translation: Translation,
  fittings: readonly Fitting[],
): readonly ReportRow[] {
  const known = (Object.keys(neutronOptions) as NeutronOption[]).flatMap((key): ReportRow[] => {
    const { group, name } = neutronOptions[key]
    const { origin } = translation.reading(key)
    if (origin === undefined) return []
    const as = translation.usedAs(key)
    const row = { group, name, from: from(origin) }
    if (as !== undefined) {
      const fitting = fittings.find((one) => one.path === as)
      const shown = fitting === undefined ? as : `${as}, ${fitting.how}`
      return [{ ...row, fate: { kind: 'honoured', as: shown } }]
    }
    const why =
      translation.leftBecause(key) ??
      reasonAgainst(group, name) ??
      'another port directory would read it'
    return [{ ...row, fate: { kind: 'not-applicable', why } }]
  })
  const others = config.unknown().map(({ group, name, origin }): ReportRow => {
    const why = reasonAgainst(group, name)
    const near = why === undefined ? nearestName(group, name) : undefined
    const fate =
      why === undefined
        ? { kind: 'unread' as const, ...(near !== undefined && { near }) }
        : notApplicable(why)
    return { group, name, from: from(origin), fate }
  })
  return [...known, ...others]
}

function notApplicable(why: string): { kind: 'not-applicable'; why: string } {
  return { kind: 'not-applicable', why }
}

/** The report for people: what is honoured, what does not apply and why, and what no metadata agent reads. */
export function neutronReportText(rows: readonly ReportRow[]): string {
  const name = (row: ReportRow): string => `[${row.group}] ${row.name}`
  const honoured = rows.flatMap((row) =>
    row.fate.kind === 'honoured' ? [[name(row), row.fate.as, row.from]] : [],
  )
  const against = rows.flatMap((row) =>
    row.fate.kind === 'not-applicable' ? [[name(row), row.fate.why, row.from]] : [],
  )
  const unread = rows.flatMap((row) =>
    row.fate.kind === 'unread'
      ? [row.fate.near === undefined ? name(row) : `${name(row)} (did you mean ${row.fate.near}?)`]
      : [],
  )
  const parts = [
    textTable([['OPTION', 'BECOMES', 'FROM'], ...honoured]),
    ...(against.length > 0 ? [textTable([['NOT APPLICABLE', 'BECAUSE', 'FROM'], ...against])] : []),
    ...(unread.length > 0
      ? [`Not read, because no metadata agent does: ${[...new Set(unread)].join(', ')}\n`]
      : []),
  ]
  return parts.join('\n')
}
