import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readSignIn, SIGNED_IN_MILLIS, type SignIn, SignIns } from '#coordinator/sign-ins.ts'
import { SignOuts } from '#coordinator/sign-outs.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

const SECRET = sha256(utf8('secret'))
const KEYS = ['root', 'key_01KQ7ZT2B4C6D8E0F1G2H3J4K5'] as const
const signIns = new SignIns(SECRET)
const begin = (key: string, at: number) => readSignIn(signIns.begin(key, SECRET, at)) as SignIn

/** Several processes over one log. */
function processes(count: number, from = 0) {
  const [log, clock] = [openMemoryLog(), virtualClock(from)]
  return { log, clock, all: Array.from({ length: count }, () => new SignOuts({ log, clock })) }
}

test('a session that was ended is ended at every process for as long as it lasts, and no other one is', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('begin' as const), key: fc.constantFrom(...KEYS) }),
    fc.record({ kind: fc.constant('end' as const), which: fc.nat(40), at: fc.nat(1) }),
    fc.record({ kind: fc.constant('wait' as const), millis: fc.nat(SIGNED_IN_MILLIS / 2) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.nat(10 * SIGNED_IN_MILLIS), fc.array(step, { maxLength: 40 }), async (from, steps) => {
      const { log, clock, all } = processes(2, from)
      const begun: { readonly signIn: SignIn; isEnded: boolean }[] = []
      for (const step of steps) {
        if (step.kind === 'begin') begun.push({ signIn: begin(step.key, clock.now()), isEnded: false })
        else if (step.kind === 'wait') await clock.advance(step.millis)
        else {
          const alive = begun.filter(({ signIn }) => clock.now() < signIn.until)
          const one = alive[step.which % Math.max(1, alive.length)]
          if (one) await all[step.at]?.end(one.signIn)
          if (one) one.isEnded = true
        }
      }
      for (const one of [...all, new SignOuts({ log, clock })])
        for (const { signIn, isEnded } of begun)
          if (clock.now() < signIn.until) expect(await one.isEnded(signIn)).toBe(isEnded)
    }),
    { numRuns: 60 },
  )
})

test('a key that ends ever more sessions has the others ended too, and is not remembered for more than a few', async () => {
  const { log, clock, all } = processes(1, 5)
  const [one] = all as [SignOuts]
  const [stays, others] = [begin(KEYS[0], 5), begin(KEYS[1], 5)]
  for (let count = 0; count < 64; count++) await one.end(begin(KEYS[0], 5))
  expect(await one.isEnded(stays)).toBe(false)
  await one.end(begin(KEYS[0], 5))
  expect([await one.isEnded(stays), await one.isEnded(others)]).toEqual([true, false])
  const entries = await log.head('sign-outs-1')
  for (let count = 0; count < 20; count++) await one.end(begin(KEYS[0], 5))
  expect(await log.head('sign-outs-1')).toBe(entries)
  await clock.advance(1)
  const later = begin(KEYS[0], 6)
  expect(await one.isEnded(later)).toBe(false)
  await one.end(later)
  expect(await one.isEnded(later)).toBe(true)
})

test('whoever starts reads no more than what could still be good', async () => {
  const { log, clock, all } = processes(1)
  const [old] = all as [SignOuts]
  for (let day = 0; day < 4; day++) {
    await old.end(begin('root', clock.now()))
    await clock.advance(2 * SIGNED_IN_MILLIS)
  }
  const read: string[] = []
  const told = (stream: string, from?: number) => {
    read.push(stream)
    return log.read(stream, from)
  }
  const fresh = new SignOuts({ log: { ...log, read: told }, clock })
  expect(await fresh.isEnded(begin('root', clock.now()))).toBe(false)
  expect(read).toEqual(['sign-outs-9'])
})
