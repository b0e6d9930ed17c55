import { openSession, type Session, speaker } from '#aggregation/secagg/session.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import type { AbortedManifest } from '#protocol/manifest.ts'
import type { Plan, Purpose } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { Blocks } from './blocks.ts'
import { checkOpening, checkSeats } from './opening.ts'
import { payloadAsked, type Standing } from './round.ts'
import type { Order } from './run.ts'
import { checkTerms } from './session.ts'
import { readRoster } from './transcript.ts'
import { checkReports } from './updates.ts'
import { asStep, type Step } from './verdict.ts'

/** An aborted round as the run names it, and what the rounds before it make of it. */
export type AbortedEntry = {
  readonly round: Round
  readonly aborted: Cid
  readonly receipts: Cid | null
  readonly purpose: Purpose
}

/** Its record, and what the rounds say by now of who was in their draws. */
type Aborted = Pick<Standing, 'attendance' | 'rule'> & { readonly record: AbortedManifest }

/**
 * The steps of a round that came to nothing: that the coordinator signed what became of it, that it began where the next
 * one does, and that whoever is said to have reported did. No sum was made, so that none is redone.
 */
export async function checkAborted(
  blocks: Blocks,
  order: Order,
  start: Standing,
  entry: AbortedEntry,
  progress: (step: Step) => void,
): Promise<Result<Aborted, Step>> {
  progress('aborted')
  if (entry.receipts !== null) return refuse('aborted', 'a round that came to nothing pays nobody')
  const record = await checkRecord(blocks, order, start, entry)
  if (!record.ok) return record
  const opening = await checkOpening(blocks, order, start, record.value, checkCohort, progress)
  if (!opening.ok) return opening
  const { plan, attendance } = opening.value
  progress('update')
  const updates = await checkUpdates(blocks, order, plan, record.value)
  if (!updates.ok) return updates
  return accept({ record: record.value, attendance, rule: plan })
}

/** Step `aborted`. */
async function checkRecord(
  blocks: Blocks,
  { run }: Order,
  start: Standing,
  { round, aborted, purpose }: AbortedEntry,
): Promise<Result<AbortedManifest, 'aborted'>> {
  const signed = asStep('aborted', 'the record', await blocks.signed(aborted, 'aborted', run.coordinator))
  if (!signed.ok) return signed
  const record = signed.value.value
  const expected = { run: run.run, round, purpose, parent: start.parent } as const
  for (const field of Object.keys(expected) as (keyof typeof expected)[])
    if (record[field] !== expected[field])
      return refuse('aborted', `its ${field} is ${record[field]}, it should be ${expected[field]}`)
  return accept(record)
}

/** Step `cohort`: none where it was not drawn yet; and as many reports as the later phases begin with. */
function checkCohort(plan: Plan, record: AbortedManifest): Result<undefined, 'cohort'> {
  const { phase, seats, purpose } = record
  const isMaskedOnly = phase === 'keys' || phase === 'consistency' || phase === 'unmasking'
  const wrong = purpose === 'evaluate' ? 'reporting' : 'evaluation'
  if (phase === wrong || (isMaskedOnly && plan.secure === null))
    return refuse('cohort', `no such round has a phase ${phase}`)
  if (phase === 'selection')
    return seats.length === 0 ? accept(undefined) : refuse('cohort', 'seats before they were drawn')
  const drawn = checkSeats(plan, record)
  if (!drawn.ok) return drawn
  const silent = seats.findIndex(({ update, reason }) => update === null && reason === null)
  if (silent >= 0) return refuse('cohort', `seat ${silent} neither reported nor has a reason why not`)
  const reports = seats.filter(({ update }) => update !== null).length
  if (phase === 'keys' && reports > 0) return refuse('cohort', 'reports before there were keys')
  const isCollected = phase === 'consistency' || phase === 'unmasking' || phase === 'aggregation'
  return isCollected && reports < plan.cohort.quorum
    ? refuse('cohort', `${reports} reports, the quorum is ${plan.cohort.quorum}`)
    : accept(undefined)
}

/** Steps `roster` and `update`: whoever reported signed an update for this very round, or an input for its session. */
async function checkUpdates(
  blocks: Blocks,
  order: Order,
  plan: Plan,
  record: AbortedManifest,
): Promise<Result<unknown, Step>> {
  const payload = payloadAsked(order, plan)
  const { roster, phase, seats } = record
  if (plan.secure === null) {
    if (roster !== null) return refuse('roster', 'a plain round has none')
    return checkReports(blocks, order.run, record, { model: plan.model, payload })
  }
  if (roster === null)
    return phase === 'selection' || phase === 'keys' ? accept(undefined) : refuse('roster', `none, and yet ${phase}`)
  const enrolled = asStep('roster', 'as it was recorded', await readRoster(blocks, roster))
  if (!enrolled.ok) return enrolled
  const terms = checkTerms(order, { manifest: record, plan, payload }, enrolled.value.roster)
  if (!terms.ok) return terms
  const session = openSession(enrolled.value.roster, enrolled.value.adverts, order.run.coordinator)
  if (!session.ok) return asStep('roster', 'the session', session)
  for (const [seat, { update }] of seats.entries()) {
    if (update === null) continue
    const given = asStep('update', `seat ${seat}`, await checkInput(blocks, session.value, seat, update))
    if (!given.ok) return given
  }
  return accept(undefined)
}

async function checkInput(blocks: Blocks, session: Session, seat: number, update: Cid): Promise<Result<undefined>> {
  const said = await blocks.said('MaskedInput', update)
  if (!said.ok) return said
  const member = speaker(session, said.value)
  if (!member.ok) return member
  return member.value.u === seat + 1 ? accept(undefined) : refuse('another-seat', `it is of seat ${member.value.u - 1}`)
}
