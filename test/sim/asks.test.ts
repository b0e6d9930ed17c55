import { describe, expect, test } from '@jest/globals'
import { CALM, type Outcome, type SimOptions, simulate } from '#sim/cluster.ts'
import { question } from '#test/statistics/given.ts'
import { QUIET } from './play.ts'

const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
const ASKED = question([
  { kind: 'count', column: null },
  { kind: 'histogram', column: 'row', edgesMicro: [0, 2_000_000, 100_000_000], quantilesPerMille: [] },
])

async function ask(options: Partial<SimOptions>): Promise<Outcome> {
  const outcome = await simulate({ ...QUIET, masking: 'secagg/1', rounds: 1, question: ASKED, ...options })
  const { verdict } = outcome
  if (!verdict.ok) throw new Error(`seed ${options.seed}: ${verdict.step}: ${verdict.detail}`)
  expect(verdict).toMatchObject({ paid: 0n, released: 0n, nodes: expect.any(Array) })
  expect((verdict.answer === null) === (verdict.outcome === 'failed')).toBe(true)
  return outcome
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

describe('a question to a simulated cluster', () => {
  test('is answered in calm weather by the rows of all sites, of hospitals too', async () => {
    for (const population of ['open', 'hospital'] as const) {
      const { verdict } = await ask({ population })
      expect(verdict).toMatchObject({
        ...{
          outcome: 'completed',
          answer: { sites: 5, parts: [{ rows: 25 }, { bins: [{ rows: 10 }, { rows: 15 }] }] },
        },
        rounds: [{ purpose: 'ask', vectors: 'recomputed' }],
      })
    }
  })

  test('is answered once, or not, and never by rows that no sites have, whatever is lost, broken or killed', async () => {
    const answers: boolean[] = []
    for (let seed = 300; seed < 316; seed++) {
      const trouble = { crash: seed % 2 ? 0.03 : 0, deaths: seed % 3 === 0 ? 1 : 0, restarts: seed % 4 === 0 ? 1 : 0 }
      const outcome = await ask({ seed, weather: seed % 5 ? STORM : CALM, patience: 2, ...trouble })
      expect(isPlausible(outcome)).toBe(true)
      answers.push(outcome.verdict.ok && outcome.verdict.answer !== null)
    }
    expect(answers.filter(Boolean).length).toBeGreaterThan(answers.length / 2)
  }, 120_000)
})
