import { describe, expect, test } from '@jest/globals'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import type { Progress } from '#client/progress.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { Outcome } from '#sim/cluster.ts'
import { CALM, type SimOptions } from '#sim/setting.ts'
import { some, times } from '#test/effort.ts'
import { play } from './play.ts'

const MIXED = { ...CALM, delayMillis: 400, duplication: 0.3 }
const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
const SITES = times(3, 4)
const MASKED = { masking: 'secagg/1', nodes: SITES, rounds: 2 } as const
const RUNNERS: Partial<SimOptions> = { ...MASKED, population: 'open', suite: SUITE_X25519 }
const HOSPITALS: Partial<SimOptions> = { ...MASKED, population: 'hospital', suite: SUITE_HYBRID }
/** Both ways to publish and both suites, in every pairing. */
const pairing = (seed: number): Partial<SimOptions> => ({
  ...(seed % 2 ? HOSPITALS : RUNNERS),
  suite: (seed >> 1) % 2 ? SUITE_HYBRID : SUITE_X25519,
})

const reasons = ({ run }: Outcome) => run.past.map(({ reason }) => reason)
const told = ({ nodes }: Outcome, kind: Progress['kind']) =>
  nodes.flatMap(({ progress }) =>
    progress.flatMap((made) => (made.kind === kind && 'reason' in made ? [made.reason] : [])),
  )
/** In this round, everything of this kind that any site says. */
const all = (kind: ClientMessage['kind'], round: number) => (said: ClientMessage) =>
  said.kind === kind && 'round' in said && said.round === round

const runners = play(RUNNERS)
const hospitals = play(HOSPITALS)

describe.each([
  ['of an open population, that publishes its vectors', RUNNERS, runners],
  ['of hospitals, that publish nothing but hashes of them', HOSPITALS, hospitals],
])('a simulated masked cluster %s', (_, kind, calm) => {
  test('completes, verifies and pays in calm weather', async () => {
    const outcome = await calm
    expect(reasons(outcome)).toEqual([null, null, null])
    expect(outcome.verdict).toMatchObject({ ok: true, pinned: true, masking: 'secagg/1', outcome: 'completed' })
    expect(outcome.run.paid).toBe(outcome.run.spec.budget)
  })

  test('makes the same model in whatever order messages arrive and however often', async () => {
    const { run } = await calm
    const mixed = await play({ ...kind, seed: 11, weather: MIXED })
    expect(reasons(mixed)).toEqual([null, null, null])
    expect(mixed.run.model).toBe(run.model)
    expect(mixed.run.evaluation).toEqual(run.evaluation)
  })

  test('makes the same model when the coordinator dies and comes back at any append', async () => {
    const { run } = await calm
    const outcome = await play({ ...kind, seed: 21, crash: 0.08, patience: 10 })
    expect(outcome.crashes).toBeGreaterThan(5)
    // A restart may cost a round its late nodes; with this seed it costs none, and nothing may differ.
    expect(outcome.verdict).toMatchObject({ rounds: Array(3).fill({ reports: SITES }) })
    expect(outcome.run.model).toBe(run.model)
    expect(outcome.run.evaluation).toEqual(run.evaluation)
  })
})

describe('a simulated masked cluster', () => {
  test('makes the model that plain sums make, whatever is published and by whichever suite keys are agreed', async () => {
    const plays = [await runners, await play(pairing(1)), await play(pairing(2)), await hospitals]
    expect(new Set(plays.map(({ run }) => run.model)).size).toBe(1)
  })

  test('never hangs, never pays twice, and always leaves a record that verifies, whatever is lost, broken or killed', async () => {
    for (const seed of some(1, [203, 202, 201]))
      await play({
        ...pairing(seed),
        ...{ seed, nodes: 4 },
        weather: STORM,
        crash: seed % 2 ? 0.03 : 0,
        deaths: seed % 3,
        nodeCrash: 0.01,
      })
  }, 60_000)

  test('bears nodes that die at any word that they keep, and come back with their journals', async () => {
    const seen = { lives: 0, closed: 0, failed: 0 }
    for (const seed of [300, 301]) {
      const { nodes, run } = await play({ ...pairing(seed), seed, nodes: 4, nodeCrash: 0.06, restarts: 2 })
      for (const { lives } of nodes) seen.lives += lives - 1
      for (const { manifest } of run.past) manifest ? seen.closed++ : seen.failed++
    }
    expect(seen.lives).toBeGreaterThan(4)
    expect(seen.closed).toBeGreaterThan(4)
  })
})

describe('a masked round that came to nothing', () => {
  test.each([
    ['its keys', 'deal', 'too-few-keys'],
    ['its inputs', 'submit', 'too-few-reports'],
    ['its confirmations', 'confirm', 'too-few-confirmations'],
    ['its shares', 'unmask', 'too-few-shares'],
  ] as const)('for want of %s is followed by one that closes', async (_, kind, reason) => {
    const outcome = await play({ ...HOSPITALS, nodes: 3, rounds: 1, lost: all(kind, 1) })
    expect(reasons(outcome)).toEqual([reason, null, null])
    expect(outcome.run.past.map(({ purpose }) => purpose)).toEqual(['train', 'train', 'evaluate'])
    expect(outcome.verdict).toMatchObject({ outcome: 'completed' })
  })

  test('and that nobody signed off keeps its inputs spent: the run ends by that name, and does not hang', async () => {
    const silent = all('confirm', 1)
    const outcome = await play({ ...HOSPITALS, nodes: 4, lost: (said) => silent(said) || said.kind === 'abandon' })
    expect(reasons(outcome)).toEqual(['too-few-confirmations', 'too-few-nodes', 'too-few-nodes'])
    expect(outcome.verdict).toMatchObject({ outcome: 'failed' })
    expect(told(outcome, 'declined')).toEqual(Array.from({ length: 8 }, () => 'too-few-abandoned'))
  })

  test('after its certificate lets the same set be summed again, and none that differs by one', async () => {
    const [shares, input] = [all('unmask', 1), all('submit', 2)]
    const lost: SimOptions['lost'] = (said, site) => shares(said) || (site === 3 && input(said))
    const outcome = await play({ ...HOSPITALS, nodes: 4, rounds: 1, lost })
    expect(reasons(outcome)).toEqual(['too-few-shares', 'too-few-confirmations', null, null])
    const refusal = 'sums-too-alike: the sums differ by 1 members, at least 3 would hide one'
    // When the second of three has left, the third may hear that it is over before it hears what it would refuse.
    expect(new Set(told(outcome, 'failed'))).toEqual(new Set([refusal]))
  })
})
