import { findRow, type BenchRow, type Side } from './row.ts'

/** One figure of ours against the peer's: above 1 we are better. */
export type Ratios = Readonly<Record<string, number>>

/** Which of our paths, and which of the others. */
const ours = ['two-hops', 'direct'] as const
const others: readonly Side[] = ['peer', 'peer-cache', 'haproxy-tuned', 'node-bare']

/** The row of the comparison for one of our paths. */
export function comparedName(path: (typeof ours)[number]): string {
  return path === 'direct' ? 'compared-direct' : 'compared'
}

/** How many times as many requests a second, and how many times less CPU for one: `closes/peer/two-hops/new/16/requests`. */
export function ratiosOf(rows: readonly BenchRow[]): Ratios {
  const ratios: Record<string, number> = {}
  const note = (name: string, value: number): void => {
    if (Number.isFinite(value)) ratios[name] = value
  }
  for (const side of others) {
    for (const path of ours) {
      for (const theirs of rows.filter((row) => row.side === side && row.name === 'compared')) {
        const { upstream, connections, keepAlive } = theirs
        if (upstream === null || connections === null || keepAlive === null) continue
        const wanted = { name: comparedName(path), upstream, connections, keepAlive }
        const mine = findRow(rows, wanted)
        if (mine === undefined) continue
        const load = `${upstream}/${side}/${path}/${keepAlive ? 'keep-alive' : 'new'}/${connections}`
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
    for (const one of rows.filter((row) => row.name === `workers${path}-1`)) {
      const connections = one.connections ?? 0
      for (const count of [2, 4]) {
        const many = findRow(rows, { name: `workers${path}-${count}`, connections })
        const load = `workers${path}/${count}-to-1/${connections}`
        note(`${load}/requests`, quotient(many?.requestsPerSecond, one.requestsPerSecond))
        note(`${load}/cpu`, quotient(one.cpuMsPerRequest, many?.cpuMsPerRequest))
      }
    }
  }
  return ratios
}

/** @returns NaN where a figure is missing */
export function quotient(one: number | null | undefined, other: number | null | undefined): number {
  return one == null || other == null ? Number.NaN : one / other
}
