import { expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { mistakeInStopRule, NOTHING_SHOWN, type StopRule, show } from '#protocol/stop-rule.ts'

const evaluations = fc.array(
  fc.record({ rows: fc.constantFrom(0, 7, 1000), share: fc.nat(7), lossQ16: fc.nat(2 ** 20) }),
  { maxLength: 12 },
)
const rules: fc.Arbitrary<StopRule> = fc.oneof(
  fc.record({
    metric: fc.constantFrom('accuracy' as const, 'loss' as const),
    patience: fc.integer({ min: 1, max: 4 }),
    minDeltaMicro: fc.constantFrom(0, 1000, 200_000),
  }),
  fc.record({ metric: fc.constant('accuracy' as const), atLeastMicro: fc.nat(1_000_000) }),
  fc.record({ metric: fc.constant('loss' as const), atMostMicro: fc.nat(3_000_000) }),
)

test('a stop rule is met by what was measured alone, for its first reason, and as plain arithmetic over all rounds has it', () => {
  fc.assert(
    fc.property(rules, evaluations, (rule, list) => {
      const told = list.map(({ rows, share, lossQ16 }) => ({ rows, correct: Math.floor((rows * share) / 7), lossQ16 }))
      const measured = told.filter(({ rows }) => rows > 0)
      const values = measured.map(({ rows, correct, lossQ16 }) =>
        rule.metric === 'accuracy' ? Math.floor((correct * 1e6) / rows) : Math.floor((lossQ16 * 1e6) / (65_536 * rows)),
      )
      const isMet = values.some((value, index) => {
        if ('atLeastMicro' in rule) return value >= rule.atLeastMicro
        if ('atMostMicro' in rule) return value <= rule.atMostMicro
        let best = index >= 0 ? (values[0] as number) : 0
        let stale = 0
        for (const later of values.slice(1, index + 1)) {
          const gain = rule.metric === 'loss' ? best - later : later - best
          if (gain > rule.minDeltaMicro) [best, stale] = [later, 0]
          else stale++
        }
        return stale >= rule.patience
      })
      const shown = told.reduce((state, evaluation) => show(rule, state, evaluation), NOTHING_SHOWN)
      expect(shown.met !== null).toBe(isMet)
      if (shown.met !== null) for (const one of told) expect(show(rule, shown, one)).toBe(shown)
    }),
  )
})

test('a bound on the wrong side is a mistake', () => {
  expect(mistakeInStopRule({ metric: 'loss', atLeastMicro: 1 })).toMatch('atMost')
  expect(mistakeInStopRule({ metric: 'auroc', atMostMicro: 1 })).toMatch('atLeast')
  expect(mistakeInStopRule({ metric: 'brier', atMostMicro: 1 })).toBeUndefined()
})
