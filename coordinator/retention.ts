import type { Millis, Round } from '#protocol/ids.ts'
import type { Population } from '#protocol/plan.ts'
import type { Run } from './run.ts'

const DAY_MILLIS: Millis = 86_400_000

/**
 * How long what is not the record of a run is kept. The record is kept for ever, and is no matter of policy: manifests,
 * plans, draws, what members signed, sums, models, receipts.
 */
export type Retention = {
  /**
   * Vectors, from the end of their run, since whoever verifies it begins then: null where they are kept for ever. Those of
   * rounds that came to nothing as well, for the record names them all the same.
   */
  readonly vectorsMillis: Readonly<Record<Population, Millis | null>>
}

/** What a verifier has the time for. */
export const RETENTION: Retention = { vectorsMillis: { open: 30 * DAY_MILLIS, hospital: 30 * DAY_MILLIS } }

/** The vectors of every population for so many days. */
export function keepVectors(days: number | 'forever'): Retention {
  const millis = days === 'forever' ? null : days * DAY_MILLIS
  return { vectorsMillis: { open: millis, hospital: millis } }
}

/**
 * Until when the vault keeps what a session needs: a day past the last moment at which its round may be open, if each step
 * takes all the time that the order gives it. Whoever is awaited has four steps of sharing keys, and may abandon the session.
 */
export function sessionUntil({ at, spec: { timing } }: Pick<Run, 'at' | 'spec'>): Millis {
  const { keysMillis, reportingMillis, consistencyMillis, unmaskingMillis, aggregationMillis } = timing
  const sharingMillis = 4 * keysMillis + reportingMillis
  return at + sharingMillis + consistencyMillis + 2 * unmaskingMillis + aggregationMillis + DAY_MILLIS
}

/** When a run's vectors expire; null while nobody can say, since it goes on, and where they never do. */
export function vectorsUntil({ spec, endedAt }: Run, { vectorsMillis }: Retention): Millis | null {
  const keptMillis = vectorsMillis[spec.population]
  return endedAt === null || keptMillis === null ? null : endedAt + keptMillis
}

/** The last round whose vectors are to expire now; undefined where there is nothing to do. */
export function dueThrough(run: Run, retention: Retention, now: Millis): Round | undefined {
  const until = vectorsUntil(run, retention)
  return until !== null && now >= until && run.expired < run.past.length ? run.past.length : undefined
}
