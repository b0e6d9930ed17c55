import { assert } from '#protocol/assert.ts'
import type { Block, Signer } from '#protocol/envelope.ts'
import type { Cid, Millis, Round, RunId } from '#protocol/ids.ts'
import { COHORT_MAX, RUN_EVENTS_MAX } from '#protocol/limits.ts'
import { endingsSchema } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { BlobStore, Clock, Presence } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import type { Eligibility } from '../eligibility.ts'
import { endingsFor } from '../endings.ts'
import { blockOf, type Ordered, orderOf } from '../record.ts'
import { type Ending, endingOf } from '../round/session.ts'
import { purposeOf, type Run, seedOf, timingFor } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/**
 * Seals the next round's plan and opens it to the nodes that are linked now, or to those of them that are members. Right after a start they are still coming
 * back: until `settledAt` it waits for as many as the cohort takes, so that a restart costs no node its round.
 */
export function openEffect(doors: OpenDoors): EffectHandler {
  return async (run, owed, signal) => {
    assert(owed.kind === 'open', 'this effect opens a round')
    // What nodes can add to a round is bounded, and so is the log by this: it is never cut, and never grows unseen.
    if (doors.position(run.spec.run) >= RUN_EVENTS_MAX) return { kind: 'stopped', reason: 'log-full' }
    const order = await orderOf(doors.blobs, run.spec)
    await untilSettled(doors, run, signal)
    const endings = blockOfEndings(endingsFor(run, doors.runs()))
    if (endings) await doors.blobs.putBlocks([endings])
    const made = planFor(run, order, owed.round, endings?.cid ?? null)
    const plan = await keepSealed(doors.blobs, doors.signer, 'plan', made)
    // No more can join, so that no more are waited for: any number of nodes may be linked.
    const invited = Math.min(await invitees(doors, run), COHORT_MAX)
    return { kind: 'opened', round: owed.round, plan, purpose: made.purpose, invited }
  }
}

export type OpenDoors = {
  readonly blobs: BlobStore
  readonly signer: Signer
  /** Of whatever process. */
  readonly presence: Presence
  readonly eligibility: Pick<Eligibility, 'invited' | 'invitesAll'>
  /** Every run, the oldest first. */
  readonly runs: () => readonly Run[]
  /** Entries of a run's log. */
  readonly position: (run: RunId) => number
  readonly clock: Clock
  /** When every node that was linked before this process began has had its time to come back. */
  readonly settledAt: Millis
}

const LOOK_MILLIS = 50

async function untilSettled(doors: OpenDoors, run: Run, signal: AbortSignal): Promise<void> {
  const { clock, settledAt } = doors
  while (clock.now() < settledAt && (await invitees(doors, run)) < run.spec.cohort.max)
    await clock.wakeAt(Math.min(settledAt, clock.now() + LOOK_MILLIS), signal)
}

/** How many are linked of those whom the run is for. */
async function invitees({ presence, eligibility }: OpenDoors, { spec }: Run): Promise<number> {
  if (await eligibility.invitesAll(spec.federation)) return presence.count()
  return (await eligibility.invited(spec.federation, await presence.nodes())).length
}

/** The plan of a round, from the run's state alone: the same whoever makes it. */
export function planFor(run: Run, { quantiser }: Ordered, round: Round, endings: Cid | null): Plan {
  const { spec, model, parent } = run
  return {
    v: 1,
    run: spec.run,
    round,
    purpose: purposeOf(run),
    population: spec.population,
    masking: spec.masking,
    secure: spec.secure,
    task: spec.task,
    model,
    parent: parent as Cid | null,
    endings,
    cohortSeed: seedOf(run, round),
    cohort: spec.cohort,
    quantiser,
    timing: timingFor(run),
  }
}

function blockOfEndings(endings: readonly Ending[]): Block | undefined {
  return endings.length > 0 ? blockOf(endingsSchema, endings.map(endingOf)) : undefined
}
