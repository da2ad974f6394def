import type { Test } from 'tap'
import { comparable } from './genuine-documents.ts'
import type { GuestNetworks, IpFamily, PlacedGuest } from './guest-networks.ts'

/** Nova's own documents of each guest, by its name and their path. */
export type Genuine = ReadonlyMap<string, ReadonlyMap<string, string>>

/** Asks for every document as a guest would. @returns whether each was the guest's own, or the status of the first that was refused */
export async function compareDocuments(
  t: Test,
  networks: GuestNetworks,
  placed: PlacedGuest,
  family: IpFamily,
  genuine: Genuine,
): Promise<boolean | number> {
  const { name } = placed.guest
  let isOwn = true
  for (const [path, expected] of genuine.get(name) ?? []) {
    const answer = await networks.ask(placed, path, { family })
    const where = `${name} IPv${family} ${path}`
    if (!t.equal(answer.status, 200, where)) return answer.status
    if (!t.equal(comparable(path, answer.body.toString()), expected, where)) isOwn = false
  }
  return isOwn
}
