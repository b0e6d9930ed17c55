import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Allowance } from '#protocol/allowance.ts'
import { holderOf, Places } from '#protocol/places.ts'

test('never more places are taken than there are, in all or by one holder, and what is given back is free again', () => {
  const rule = fc.record({ total: fc.integer({ min: 1, max: 6 }), each: fc.integer({ min: 1, max: 4 }) })
  const acts = fc.array(fc.record({ holder: fc.nat(3), gives: fc.boolean() }), { maxLength: 60 })
  fc.assert(
    fc.property(rule, acts, ({ total, each }, said) => {
      const places = new Places({ total, each })
      const held: { readonly holder: number; readonly place: Disposable }[] = []
      for (const { holder, gives } of said) {
        const mine = held.findIndex((one) => one.holder === holder)
        if (gives && mine >= 0) {
          const [given] = held.splice(mine, 1)
          // Twice is once.
          given?.place[Symbol.dispose]()
          given?.place[Symbol.dispose]()
          continue
        }
        const before = held.filter((one) => one.holder === holder).length
        const place = places.take(String(holder))
        expect(place !== undefined).toBe(held.length < total && before < each)
        if (place) held.push({ holder, place })
        expect(places.taken).toBe(held.length)
      }
    }),
  )
})

test('an allowance lets through its burst and then its rate, whatever the order of asking', () => {
  const steps = fc.array(fc.record({ wait: fc.nat(500), asks: fc.nat(20) }), { maxLength: 50 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 50 }), steps, (perSecond, burst, said) => {
      const allowance = new Allowance({ perSecond, burst }, 0)
      let [now, taken] = [0, 0]
      for (const { wait, asks } of said) {
        now += wait
        for (let ask = 0; ask < asks; ask++) {
          if (allowance.take(now)) taken++
        }
        expect(taken).toBeLessThanOrEqual(burst + (now * perSecond) / 1000 + 1e-6)
      }
    }),
  )
})

test('what came too fast is a debt, and paid off at the rate', () => {
  const allowance = new Allowance({ perSecond: 10, burst: 5 }, 0)
  expect([allowance.spend(0, 5), allowance.spend(0, 1), allowance.spend(0, 19)]).toEqual([0, 100, 2000])
  expect([allowance.take(1999), allowance.take(2099), allowance.take(2101)]).toEqual([false, false, true])
})

test('a clock that is set back takes nothing away and gives nothing twice', () => {
  const allowance = new Allowance({ perSecond: 1, burst: 2 }, 10_000)
  expect([allowance.take(10_000), allowance.take(5000), allowance.take(5000)]).toEqual([true, true, false])
  expect(allowance.take(6000)).toBe(true)
})

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['2001:db8::', '2001:db8:0:0::/64'],
  [undefined, 'unknown'],
])('%s takes the places of %s', (address, holder) => {
  expect(holderOf(address)).toBe(holder)
})
