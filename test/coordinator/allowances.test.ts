import { expect, test } from '@jest/globals'
import { Allowances } from '#coordinator/allowances.ts'

test('each holder has its own, and says what is left and when there is more', () => {
  const allowances = new Allowances({ perSecond: 0.5, burst: 2 })
  expect(allowances.take('a', 0)).toEqual({ ok: true, left: 1, fullInSeconds: 2, nextInSeconds: 0 })
  expect(allowances.take('a', 0)).toEqual({ ok: true, left: 0, fullInSeconds: 4, nextInSeconds: 2 })
  expect(allowances.take('a', 0)).toEqual({ ok: false, left: 0, fullInSeconds: 4, nextInSeconds: 2 })
  expect(allowances.take('b', 0).ok).toBe(true)
  expect(allowances.take('a', 2000)).toMatchObject({ ok: true, left: 0 })
})

test('of more holders than are remembered the one that was seen longest ago is forgotten', () => {
  const allowances = new Allowances({ perSecond: 1, burst: 1 })
  for (let holder = 0; holder < 10_000; holder++) allowances.take(`${holder}`, 0)
  expect(allowances.take('0', 0).ok).toBe(false)
  allowances.take('one more', 0)
  expect([allowances.take('0', 0).ok, allowances.take('2', 0).ok, allowances.take('1', 0).ok]).toEqual([
    false,
    false,
    true,
  ])
})
