import { describe, expect, test } from '@jest/globals'
import { admit, type RoundMessage } from '#coordinator/admit.ts'
import { hasReported } from '#coordinator/round/round.ts'
import type { Run } from '#coordinator/run.ts'
import type { NodeId } from '#protocol/ids.ts'
import type { Outcome } from '#sim/cluster.ts'
import type { Fault } from '#sim/faults.ts'
import { idOf } from '#sim/node.ts'
import { type Strikes, whenStage, whenWritten } from '#sim/story.ts'
import { play } from './play.ts'

/** What went wrong at peers, and must not here: each case is named after the issue that tells of it. */

const NODES = 4
const SITES = Array.from({ length: NODES }, (_, site) => site)

/** The sites whose updates are in a round, by its record. */
function countedIn({ over }: Outcome, round: number): readonly number[] {
  const ended = over[round - 1]
  if (!ended || !('cohort' in ended) || !ended.cohort) return []
  const { cohort, seats } = ended
  return SITES.filter((site) => hasReported(seats?.[cohort.indexOf(idOf(site))]))
}

/** The rounds that a site says it reported in. */
function reportedBy({ nodes }: Outcome, site: number): readonly number[] {
  return (nodes[site]?.progress ?? []).filter(({ kind }) => kind === 'reported').map(({ round }) => round)
}

function siteOf(node: NodeId): number {
  return SITES.findIndex((site) => idOf(site) === node)
}

const refusedStale = ({ counters }: Outcome) =>
  Promise.all(['past-round', 'wrong-model', 'wrong-plan'].map((reason) => counters.of('frames_refused', reason)))

describe('a node that fell behind', () => {
  const cut: Fault = { kind: 'partition', nodes: [0], direction: 'both', millis: 5000 }
  const behind = play({ nodes: NODES, rounds: 8, strikes: whenStage('reporting', 1, [cut]) })

  test('is told the round that is open now, and its next report counts there (DISCO #1220)', async () => {
    const outcome = await behind
    const missed = outcome.run.past.map(({ round }) => round).filter((round) => !countedIn(outcome, round).includes(0))
    expect(missed[0]).toBe(1)
    expect(missed.length).toBeLessThan(outcome.run.past.length)
    const back = Math.max(...missed) + 1
    for (let round = back; round <= outcome.run.past.length; round++) expect(countedIn(outcome, round)).toEqual(SITES)
    // Under the number of the round that counts it, and of no other.
    expect(reportedBy(outcome, 0).filter((round) => round > 1)).toEqual(
      outcome.run.past.map(({ round }) => round).filter((round) => round >= back),
    )
  })

  test('does not hold up the others, who go on without it (DISCO #718)', async () => {
    const outcome = await behind
    expect(countedIn(outcome, 1)).toEqual([1, 2, 3])
    expect(countedIn(outcome, 2)).toEqual(expect.arrayContaining([1, 2, 3]))
    expect(outcome.run.past.map(({ reason }) => reason)).toEqual(outcome.run.past.map(() => null))
  })

  test('and comes back before any round has closed, starts from the first model in the first round (DISCO #1222)', async () => {
    const killed: Fault = { kind: 'restart', node: 0, millis: 500 }
    const outcome = await play({ nodes: NODES, rounds: 1, strikes: whenStage('reporting', 1, [killed]) })
    expect(outcome.nodes[0]?.lives).toBe(2)
    expect(countedIn(outcome, 1)).toEqual(SITES)
    expect(reportedBy(outcome, 0)).toEqual([1, 2])
    expect(await refusedStale(outcome)).toEqual([0, 0, 0])
  })
})

describe('a contributor that leaves after its report', () => {
  /** The first to report dies at once; another takes its time, but keeps its link. */
  const dies: Strikes = ({ event }) => [{ kind: 'death', node: siteOf((event as { node: NodeId }).node) }]
  const leaves = whenWritten('reported', 1, dies)
  const slow = whenStage('reporting', 1, [{ kind: 'pause', who: { node: 3 }, millis: 1400 }])
  const departed = play({
    ...{ nodes: NODES, rounds: 2 },
    strikes: (advanced) => [...leaves(advanced), ...slow(advanced)],
  })

  test('is in the round that it reported to, and ends that for nobody who still works (DISCO #1221)', async () => {
    const outcome = await departed
    expect(countedIn(outcome, 1)).toEqual(SITES)
    expect(await refusedStale(outcome)).toEqual([0, 0, 0])
  })

  test('is counted in no round after that, nor waited for (DISCO #1219)', async () => {
    const outcome = await departed
    for (const round of [2, 3]) expect(countedIn(outcome, round)).toHaveLength(NODES - 1)
    // Two rounds of three who all answer take no deadline to end.
    expect(outcome.elapsedMillis).toBeLessThan(2000 + 5000)
  })

  test('every participant is counted once, by those who report and by nothing else (DISCO #707, #894)', async () => {
    const outcome = await departed
    expect(outcome.verdict).toMatchObject({
      rounds: [{ reports: NODES }, { reports: NODES - 1 }, { reports: NODES - 1 }],
    })
  })
})

describe('the last one that is waited for', () => {
  test('does not strand the ones who reported, when it dies (a node that leaves last)', async () => {
    const last: Strikes = ({ after: { round } }) => {
      if (!round || !('cohort' in round) || !round.cohort) return []
      const waiting = round.cohort.findIndex((_, seat) => round.seats?.[seat] === 'waiting')
      return [{ kind: 'death', node: siteOf(round.cohort[waiting] as NodeId) }]
    }
    const outcome = await play({ nodes: NODES, rounds: 1, strikes: whenWritten('reported', NODES - 1, last) })
    expect(countedIn(outcome, 1)).toHaveLength(NODES - 1)
    expect(outcome.run.past.map(({ reason }) => reason)).toEqual([null, null])
  })
})

describe('a round that is not open', () => {
  test('whether gone by or from the future, is refused by name, and changes nothing', async () => {
    let open: Run | undefined
    const seen: Strikes = ({ after }) => {
      if (after.round?.round === 2 && after.round.phase === 'reporting') open ??= after
      return []
    }
    await play({ nodes: NODES, rounds: 2, strikes: seen })
    const about = (round: number) => admit(open, { kind: 'leave', round } as RoundMessage)
    expect(about(2)).toMatchObject({ ok: true, value: open })
    expect(about(1)).toMatchObject({ ok: false, refusal: 'past-round' })
    for (const round of [3, 4000]) expect(about(round)).toMatchObject({ ok: false, refusal: 'future-round' })
  })
})
