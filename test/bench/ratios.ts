import { findRow, type BenchRow, type Side } from './row.ts'

/** One figure of ours against the peer's: above 1 we are better. */
export type Ratios = Readonly<Record<string, number>>

/** Which of our paths, and which of our peer's. */
const ours = ['two-hops', 'direct'] as const
const peers: readonly Side[] = ['peer', 'peer-cache']

/** The row of the comparison for one of our paths. */
export function comparedName(path: (typeof ours)[number]): string {
  return path === 'direct' ? 'compared-direct' : 'compared'
}

/** How many times as many requests a second, and how many times less CPU for one, by load: `peer/two-hops/new/16/requests`. */
export function ratiosOf(rows: readonly BenchRow[]): Ratios {
  const ratios: Record<string, number> = {}
  const note = (name: string, value: number): void => {
    if (Number.isFinite(value)) ratios[name] = value
  }
  for (const side of peers) {
    for (const path of ours) {
      for (const theirs of rows.filter((row) => row.side === side && row.name === 'compared')) {
        const { connections, keepAlive } = theirs
        if (connections === null || keepAlive === null) continue
        const mine = findRow(rows, { name: comparedName(path), connections, keepAlive })
        if (mine === undefined) continue
        const load = `${side}/${path}/${keepAlive ? 'keep-alive' : 'new'}/${connections}`
        note(`${load}/requests`, quotient(mine.requestsPerSecond, theirs.requestsPerSecond))
        note(`${load}/cpu`, quotient(theirs.cpuMsPerRequest, mine.cpuMsPerRequest))
      }
    }
  }
  const attached = findRow(rows, { name: 'compared-attach' })
  const theirs = findRow(rows, { name: 'compared-attach', side: 'peer' })
  note('peer/attach/seconds', quotient(theirs?.seconds, attached?.seconds))
  note('peer/attach/memory', quotient(theirs?.pssMiB, attached?.pssMiB))
  for (const path of ['', '-direct']) {
    const one = findRow(rows, { name: `workers${path}-1` })
    const two = findRow(rows, { name: `workers${path}-2` })
    note(`workers${path}/2-to-1`, quotient(two?.requestsPerSecond, one?.requestsPerSecond))
  }
  return ratios
}

/** @returns NaN where a figure is missing */
export function quotient(one: number | null | undefined, other: number | null | undefined): number {
  return one == null || other == null ? Number.NaN : one / other
}
