import { expect } from '@jest/globals'
import { type Outcome, simulate } from '#sim/cluster.ts'
import { CALM, type SimOptions } from '#sim/setting.ts'
import { question } from '#test/statistics/given.ts'
import { QUIET } from './play.ts'

export const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
const ASKED = question([
  { kind: 'count', column: null },
  { kind: 'histogram', column: 'row', edgesMicro: [0, 2_000_000, 100_000_000], quantilesPerMille: [] },
])

/** Plays a run that asks one question, and checks what must hold of every one. */
export async function ask(options: Partial<SimOptions>): Promise<Outcome> {
  const outcome = await simulate({ ...QUIET, masking: 'secagg/1', rounds: 1, question: ASKED, ...options })
  const { verdict } = outcome
  if (!verdict.ok) throw new Error(`seed ${options.seed}: ${verdict.step}: ${verdict.detail}`)
  expect(verdict).toMatchObject({ paid: 0n, released: 0n, nodes: expect.any(Array) })
  expect((verdict.answer === null) === (verdict.outcome === 'failed')).toBe(true)
  return outcome
}

/** A question that no site can answer. */
export const STRANGE = question([
  { kind: 'moments', column: 'elsewhere', lowMicro: 0, highMicro: 1_000_000, resolutionMicro: 1_000_000 },
])

/** … in such weather and with such troubles as its seed has. @returns whether it was answered */
export async function askInTrouble(seed: number): Promise<boolean> {
  const trouble = { crash: seed % 2 ? 0.03 : 0, deaths: seed % 3 === 0 ? 1 : 0, restarts: seed % 4 === 0 ? 1 : 0 }
  const outcome = await ask({ seed, weather: seed % 5 ? STORM : CALM, patience: 2, ...trouble })
  expect(isPlausible(outcome)).toBe(true)
  return outcome.verdict.ok && outcome.verdict.answer !== null
}

/** Rows that any set of so many sites can have: sites have 3, 4, 5, 6 and 7. */
function isPlausible({ verdict }: Outcome): boolean {
  if (!verdict.ok || !verdict.answer) return true
  const { sites, parts } = verdict.answer
  const [count, histogram] = parts
  if (count?.kind !== 'count' || histogram?.kind !== 'histogram') return false
  const [few] = histogram.bins
  return few?.rows === 2 * sites && count.rows >= 3 * sites + (sites * (sites - 1)) / 2 && count.rows <= 25
}
