import { describe, expect, test } from '@jest/globals'
import { some } from '#test/effort.ts'
import { ask, askInTrouble } from './asks.ts'

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
    for (const seed of some(3, [300, 301, 302, 303, 304, 305])) answers.push(await askInTrouble(seed))
    expect(answers.filter(Boolean).length).toBeGreaterThan(answers.length / 2)
  }, 120_000)
})
