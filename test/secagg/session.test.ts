import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SUITE_HYBRID, SUITE_X25519, type Suite } from '#aggregation/secagg/messages.ts'
import { secureRule } from '#aggregation/secagg/parameters.ts'
import { must } from '#test/aggregation/given.ts'
import { times } from '#test/effort.ts'
import { cohortOf } from './cohort.ts'
import { isExact } from './exact.ts'
import { type Absent, play } from './play.ts'
import { roughSession } from './rough.ts'

describe('a session', () => {
  test.each([
    [3, SUITE_X25519],
    [3, SUITE_HYBRID],
    [7, SUITE_X25519],
    [16, SUITE_X25519],
  ] as const)('of %i members in suite %i gives the exact sum, and its record verifies', async (n, suite) => {
    const cohort = cohortOf(`whole ${n} ${suite}`, n, { suite })
    const played = must(await play(cohort))
    expect(played.survivors).toHaveLength(n)
    await isExact(cohort, played)
  })

  test.each([
    ['one before it shared keys', { share: [2] }],
    ['one before it masked', { mask: [5] }],
    ['the lowest and the highest before they masked', { mask: [1, 7] }],
    ['one before it confirmed', { mask: [1], confirm: [3] }],
    ['two after they confirmed', { mask: [4], unmask: [2, 6] }],
    ['one in every phase', { share: [1], mask: [2], unmask: [4] }],
  ] as readonly (readonly [string, Absent])[])(
    'that loses %s gives the exact sum of the others, in both suites',
    async (_, absent) => {
      for (const suite of [SUITE_X25519, SUITE_HYBRID] as readonly Suite[]) {
        const cohort = cohortOf('losses', 7, { suite })
        await isExact(cohort, must(await play(cohort, absent)))
      }
    },
  )

  test('of random size and losses gives the exact sum, or a named refusal exactly when too few are left', async () => {
    const losses = fc.record({ n: fc.integer({ min: 3, max: 12 }), parameters: fc.nat(40), seed: fc.nat() })
    const phases = fc.infiniteStream(
      fc.constantFrom('none', 'none', 'none', 'none', 'share', 'mask', 'confirm', 'unmask'),
    )
    await fc.assert(
      fc.asyncProperty(losses, phases, async ({ n, parameters, seed }, stream) => {
        const cohort = cohortOf(`random ${seed}`, n, { parameters })
        const rule = must(secureRule(n, { maxCorrupt: 1 }))
        const absent = { share: [], mask: [], confirm: [], unmask: [] } as Record<string, number[]>
        for (let u = 1; u <= n; u++) absent[stream.next().value]?.push(u)
        const left = (...phases: string[]) => n - phases.reduce((sum, phase) => sum + (absent[phase]?.length ?? 0), 0)
        const played = await play(cohort, absent)
        if (left('share') < rule.q || left('share', 'mask') < rule.q)
          expect(played).toMatchObject({ ok: false, refusal: 'too-few-members' })
        else if (left('share', 'mask', 'confirm') < rule.q)
          expect(played).toMatchObject({ ok: false, refusal: 'too-few-signatures' })
        else if (played.ok) await isExact(cohort, played.value)
        else {
          expect(played.refusal).toBe('too-few-shares')
          expect(left('share', 'mask', 'confirm', 'unmask')).toBeLessThanOrEqual(rule.t)
        }
      }),
      { numRuns: times(4, 10) },
    )
  })

  test('over a network that repeats and reorders, with stale words among the right ones, is exact or named', async () => {
    const endings = []
    for (let seed = 0; seed < 28; seed++) endings.push(await roughSession(seed, { min: 3, max: 7 }))
    const lacking = endings.flatMap((ending) => ('lacking' in ending ? [ending.lacking] : []))
    expect(lacking.every((name) => name.startsWith('too-few'))).toBe(true)
    expect(lacking.length).toBeGreaterThan(2)
    expect(endings.length - lacking.length).toBeGreaterThan(20)
    expect(endings.every(({ n, refused }) => refused >= n / 2)).toBe(true)
  })
})
