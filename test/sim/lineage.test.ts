import { describe, expect, test } from '@jest/globals'
import type { Progress } from '#client/progress.ts'
import type { Round } from '#protocol/ids.ts'
import { simulate } from '#sim/cluster.ts'
import type { SimOptions } from '#sim/setting.ts'
import { times } from '#test/effort.ts'
import { craftingAggregate } from './crafted.ts'
import { QUIET } from './play.ts'

const MASKED: SimOptions = { ...QUIET, masking: 'secagg/1', nodes: 4, rounds: 2 }
/** An open population publishes its masked vectors, hospitals their hashes alone. */
const PUBLISHED = [['open'], ['hospital']] as const
const play = async (options: Partial<SimOptions>) => {
  const { nodes, ...outcome } = await simulate({ ...MASKED, ...options })
  return { ...outcome, told: nodes.map(({ progress }) => progress) }
}

const inRound = (told: readonly Progress[], round: Round) => told.filter((made) => made.round === round)
const kinds = (told: readonly Progress[]) => told.map(({ kind }) => kind)
const pastsOf = (told: readonly Progress[]) => told.flatMap((made) => (made.kind === 'recomputed' ? [made.past] : []))

describe('nodes of a masked run', () => {
  test.each(PUBLISHED)(
    'redo each round beside the training of the next, and mask after it (%s)',
    async (population) => {
      const { verdict, run, told } = await play({ population, nodes: times(3, 4) })
      expect(verdict).toMatchObject({ ok: true, outcome: 'completed' })
      expect(run.past.map(({ reason }) => reason)).toEqual([null, null, null])
      for (const own of told) {
        expect(pastsOf(own)).toEqual([1, 2])
        for (const round of [2, 3]) {
          const order = kinds(inRound(own, round))
          expect(order.indexOf('recomputed')).toBeLessThan(order.indexOf('masked'))
        }
      }
    },
  )

  test.each(PUBLISHED)(
    'leave a round over a model that the coordinator made up, and mask nothing on it (%s)',
    async (population) => {
      const { run, told } = await play({ population, aggregate: (doors) => craftingAggregate(doors, 1) })
      expect(run.past[0]?.manifest).not.toBeNull()
      expect(run.past.slice(1).map(({ manifest }) => manifest)).toEqual([null, null, null])
      // Whoever is the last to find out may hear first that the round is over, since the others left.
      const found = told.flatMap((own) => own.flatMap((made) => (made.kind === 'failed' ? [made.reason] : [])))
      expect(found.length).toBeGreaterThan(3)
      for (const reason of found) expect(reason).toMatch(/^model-not-recomputed: model: round 1: the sum makes /)
      for (const own of told)
        for (const round of [2, 3, 4])
          expect(kinds(inRound(own, round))).not.toEqual(expect.arrayContaining(['masked']))
    },
  )

  test('that cannot get a vector give nothing, and are free again when their round is over', async () => {
    const { verdict, run, told } = await play({ blind: 1 })
    expect(verdict).toMatchObject({ ok: true, outcome: 'completed' })
    expect(run.past.map(({ reason }) => reason)).toEqual([null, null, null])
    const [blind = [], ...others] = told
    for (const round of [2, 3]) {
      expect(kinds(inRound(blind, round))).toEqual(expect.arrayContaining(['joined', 'seated', 'ended']))
      expect(kinds(inRound(blind, round))).not.toEqual(expect.arrayContaining(['masked']))
      for (const own of others) expect(kinds(inRound(own, round))).toEqual(expect.arrayContaining(['unmasked']))
    }
  })

  test('redo rounds over a coordinator that dies and comes back', async () => {
    const { verdict, told, crashes } = await play({ seed: 31, nodes: times(3, 4), crash: 0.03 })
    expect(crashes).toBeGreaterThan(0)
    expect(verdict.ok).toBe(true)
    for (const own of told) expect(kinds(own).filter((kind) => kind === 'failed')).toEqual([])
    expect(told.some((own) => pastsOf(own).length > 0)).toBe(true)
  })
})
