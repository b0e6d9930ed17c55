/**
 * Waits for so many of the acts, and no longer: rejects with the first fault as soon as too few can be had. Once there are
 * enough, `settled` hears of each act, of those that come later as well.
 */
export function tally(
  acts: readonly Promise<unknown>[],
  needed: number,
  settled: (index: number, failed?: { readonly fault: unknown }) => void,
): { readonly decided: Promise<void>; readonly all: Promise<void> } {
  const decided = Promise.withResolvers<void>()
  decided.promise.catch(() => undefined)
  const faults: unknown[] = []
  let done = 0
  const outcomes = acts.map(async (act, index) => {
    let failed: { readonly fault: unknown } | undefined
    try {
      await act
      if (++done === needed) decided.resolve()
    } catch (fault) {
      failed = { fault }
      faults.push(fault)
      if (faults.length > acts.length - needed) decided.reject(faults[0])
    }
    await decided.promise
    settled(index, failed)
  })
  return { decided: decided.promise, all: Promise.allSettled(outcomes).then(() => undefined) }
}

/** True as soon as `yes` of the answers are, false as soon as `no` are not; rejects with the first fault where it stays open. */
export function poll(answers: readonly Promise<boolean>[], { yes, no }: { yes: number; no: number }): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const counted = { true: 0, false: 0 }
    const faults: unknown[] = []
    for (const answer of answers)
      answer
        .then(
          (given) => {
            counted[`${given}`]++
            if (counted.true === yes) resolve(true)
            if (counted.false === no) resolve(false)
          },
          (fault) => faults.push(fault),
        )
        .finally(() => {
          if (counted.true + counted.false + faults.length === answers.length) reject(faults[0])
        })
  })
}
