import { expect, test } from '@jest/globals'
import { virtualClock } from '#sim/virtual-clock.ts'
import { systemClock } from '#storage/clock.ts'
import { clockConformance } from '#test/conformance/clocks.ts'

const fake = virtualClock(1000)
clockConformance('fake', fake, (millis) => fake.advance(millis))
clockConformance('system', systemClock, async () => undefined)

test('time that passes wakes each sleeper at its own time, and those it wakes may sleep again within it', async () => {
  const clock = virtualClock(0)
  const never = new AbortController().signal
  const woken: string[] = []
  const beat = async (name: string, every: number) => {
    for (let at = every; at <= 60; at += every) {
      await clock.wakeAt(at, never)
      woken.push(`${name}@${clock.now()}`)
    }
  }
  const beats = Promise.all([beat('slow', 30), beat('fast', 20)])
  await clock.advance(60)
  await beats
  expect(woken).toEqual(['fast@20', 'slow@30', 'fast@40', 'slow@60', 'fast@60'])
  expect(clock.waiting()).toBe(0)
})
