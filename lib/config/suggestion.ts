/** How many single letters must be typed, dropped or swapped to get from one word to the other? */
function editDistance(from: string, to: string): number {
  let before: readonly number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= to.length; column += 1) {
      const change = from[row - 1] === to[column - 1] ? 0 : 1
      const isSwapped =
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1]
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + change,
          isSwapped ? (before[column - 2] ?? 0) + 1 : Infinity,
        ),
      )
    }
    before = previous
    previous = current
  }
  return previous[to.length] ?? 0
}

/** The known word that was most likely meant, or `undefined` when none is near. */
export function closest(word: string, known: readonly string[]): string | undefined {
  // Words come from a file or from variables of strangers; nothing useful is longer.
  if (word.length > 100) return undefined
  const plain = word.toLowerCase().replaceAll('-', '_')
  const ranked = known
    .map((name) => ({ name, distance: editDistance(plain, name.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)
  const [best] = ranked
  // Two letters of three are another word.
  const most = plain.length < 5 ? 1 : 2
  if (best !== undefined && best.distance <= Math.max(most, Math.floor(best.name.length / 4))) {
    return best.name
  }
  // A unit was left out: `head` for `head_bytes`.
  return ranked.find(({ name }) => name.startsWith(`${plain}_`))?.name
}
