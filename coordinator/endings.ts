import { ENDINGS_MAX } from '#protocol/limits.ts'
import type { Ending } from './round/session.ts'
import type { Run } from './run.ts'

/**
 * The earlier sessions that a run's next plan tells of. A model's inputs go into sessions of its own run alone. Answers are
 * spent under the data, and every question is about those: so a question's plan tells of the other questions' sessions as
 * well, where some member may hold no certificate of its own.
 *
 * @param runs of this coordinator, the oldest first
 */
export function endingsFor(run: Run, runs: readonly Run[]): readonly Ending[] {
  if (run.spec.purpose === 'train') return run.endings
  const others = runs.filter(({ spec }) => spec.purpose === 'ask' && spec.run !== run.spec.run)
  const untold = others.flatMap(({ endings }) => endings.filter(isUnseen))
  return [...untold, ...run.endings].slice(-ENDINGS_MAX)
}

/** Whoever unmasked has seen the certificate. */
function isUnseen({ session: { shared, unmasks } }: Ending): boolean {
  return shared?.members.some((member, seat) => member && !unmasks[seat]) ?? false
}
