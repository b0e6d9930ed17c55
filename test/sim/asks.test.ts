import { describe, expect, test } from '@jest/globals'
import { some } from '#test/effort.ts'
import { ask, askInTrouble, STORM, STRANGE } from './asks.ts'

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

  test('that no site can answer is over with its first round: nobody waits for its deadline, nor asks again', async () => {
    const { run, verdict } = await ask({ question: STRANGE, population: 'hospital' })
    expect(run.past).toMatchObject([{ reason: 'refused-by-sites: no-column', endedIn: 'selection' }])
    expect((run.past[0]?.endedAt ?? 0) - (run.past[0]?.openedAt ?? 0)).toBeLessThan(1000)
    expect(verdict).toMatchObject({ outcome: 'failed', answer: null })
  })

  test('that no site can answer is over all the same where words are lost, repeated, late and out of order', async () => {
    for (const seed of some(4, [400, 401, 402, 403, 404, 405, 406, 407])) {
      const { run } = await ask({
        seed,
        question: STRANGE,
        weather: { ...STORM, loss: 0.1 },
        crash: seed % 2 ? 0.03 : 0,
      })
      expect(run.past.length).toBeLessThanOrEqual(3)
      for (const { reason } of run.past) expect(reason).toMatch(/^(refused-by-sites: no-column|too-few-nodes)$/)
      // Whoever's word was lost may yet come; who was heard is not asked again.
      expect(run.past.slice(0, -1).map(({ reason }) => reason)).not.toContain('refused-by-sites: no-column')
    }
  })

  test('is answered once, or not, and never by rows that no sites have, whatever is lost, broken or killed', async () => {
    const answers: boolean[] = []
    for (const seed of some(3, [300, 301, 302, 303, 304, 305])) answers.push(await askInTrouble(seed))
    expect(answers.filter(Boolean).length).toBeGreaterThan(answers.length / 2)
  }, 120_000)
})
