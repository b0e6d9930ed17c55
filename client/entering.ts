import { accept, type Result, refuse } from '#protocol/result.ts'
import { freshnessFor } from './endings.ts'
import type { Entry } from './entry.ts'
import { Membership } from './membership.ts'
import type { Told } from './progress.ts'
import type { SessionsDoors } from './sessions.ts'
import type { Word } from './words.ts'

/** Into a masked round, with fresh keys, and only with an input that may be given (R5). */
export async function enterMasked(
  doors: SessionsDoors,
  round: Omit<Entry, 'seq' | 'freshness' | 'spent'>,
  stop: AbortController,
): Promise<Result<Membership>> {
  const { blobs, outbox, journal, clock, signer, coordinator, sequence, site, chance, voice, tell } = doors
  if ((await journal.recall(round.run, round.round))?.member)
    return refuse('restarted', 'its session began, and what was held of it is gone')
  const { plan } = round.assignment
  const spent = await journal.spendings(round.inputKey)
  const witnessed = await journal.witnessed(spent)
  const freshness = await freshnessFor(plan, { spent, witnessed }, { blobs, coordinator, own: signer.id })
  if (!freshness.ok) return freshness
  const own = {
    ...{ blobs, outbox, journal, clock, chance, site: { ...site, signer, coordinator } },
    send: (word: Word) => voice.speak(round, word),
    tell: (made: Told) => tell(round, made),
  }
  const entry = { ...round, seq: sequence.next(), freshness: freshness.value, spent: spent.length }
  return accept(new Membership(own, entry, stop))
}
