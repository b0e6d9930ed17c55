/** The known name that was probably meant: the smallest edit distance, if it is small for the length of what was typed. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, distance: distance(typed.toLowerCase(), name.toLowerCase()) }))
    .filter((found) => found.distance <= Math.max(1, Math.floor(found.name.length / 3)))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.name ?? known.find((name) => typed.length >= 3 && name.startsWith(typed))
}

/** Levenshtein with swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1
      let best = Math.min(
        (last[column] as number) + 1,
        (next[column - 1] as number) + 1,
        (last[column - 1] as number) + same,
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        best = Math.min(best, (before[column - 2] as number) + 1)
      next.push(best)
    }
    before = last
    last = next
  }
  return last[b.length] as number
}
