import { describe, expect, test } from '@jest/globals'
import { encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import { simulate } from '#sim/cluster.ts'
import { idOf } from '#sim/node.ts'
import { RUN } from '#sim/setting.ts'
import { Testimony } from '#sim/testimony.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { Violation, Watch } from '#sim/watch.ts'
import { QUIET } from './play.ts'

/** A run that is known to be sound, as it was written. */
async function written(): Promise<readonly RunEvent[]> {
  const events: RunEvent[] = []
  await simulate({
    ...{ ...QUIET, nodes: 2, rounds: 1 },
    tell: (moment) => {
      if (moment.type === 'event') events.push(moment.advanced.event)
    },
  })
  return events
}

function watching() {
  const clock = virtualClock(0)
  const watch = new Watch(RUN, { clock, slowestNow: () => watch.run?.at ?? 0, heard: () => undefined })
  return { clock, watch, write: (event: RunEvent) => watch.appended(RUN, [encodeEvent(event) as Bytes]) }
}

describe('a watch', () => {
  const sound = written()

  test('finds nothing in a sound run, and knows how each round ended', async () => {
    const { watch, write } = watching()
    for (const event of await sound) write(event)
    watch.check(true, 50)
    expect(watch.over.map(({ phase }) => phase)).toEqual(['closed', 'closed'])
    watch.compare(watch.run, watch.position)
    // What was read from a snapshot is of another make, and the same.
    watch.compare(structuredClone(watch.run), watch.position)
  })

  test('finds an event that the state before it refuses, and time that goes back', async () => {
    const [created, held] = await sound
    const { write } = watching()
    write(created as RunEvent)
    write(held as RunEvent)
    expect(() => write(held as RunEvent)).toThrow(Violation)
    const early = watching()
    early.write(created as RunEvent)
    expect(() => early.write({ ...(held as RunEvent), at: 1 })).toThrow(/time/)
  })

  test('finds a phase that is open a second past its deadline, unless nobody could have ended it', async () => {
    const [served, away] = [watching(), watching()]
    for (const { write } of [served, away])
      for (const event of (await sound).filter((_, position) => position < 3)) write(event)
    const pass = async ({ clock, watch }: typeof served, isServed: boolean, millis: number) => {
      for (let passed = 0; passed < millis; passed += 50) {
        await clock.advance(50)
        watch.check(isServed, 50)
      }
    }
    await expect(pass(served, true, 2900)).resolves.toBeUndefined()
    await expect(pass(served, true, 300)).rejects.toThrow(/round 1 hangs in selection/)
    await expect(pass(away, false, 60_000)).resolves.toBeUndefined()
    await expect(pass(away, true, 3300)).rejects.toThrow(Violation)
  })

  test('finds a process that believes something else than the log says', async () => {
    const { watch, write } = watching()
    for (const event of await sound) write(event)
    const run = watch.run
    expect(() => watch.compare(run && { ...run, paid: 1n }, watch.position)).toThrow(/differ/)
    expect(() => watch.compare(run, watch.position + 1)).toThrow(Violation)
  })
})

test('a node that says two things in one place is found, and one that repeats itself is not', () => {
  const testimony = new Testimony()
  const says = (kind: string, rest: object, from: NodeId = idOf(0)) =>
    testimony.hear(from, { kind, run: RUN, round: 1, ...rest } as unknown as ClientMessage)
  says('confirm', { confirm: 'a' })
  says('confirm', { confirm: 'a' })
  says('confirm', { confirm: 'b' }, idOf(1))
  says('unmask', { unmask: 'b' })
  says('confirm', { confirm: 'b', round: 2 })
  expect(() => says('confirm', { confirm: 'b' })).toThrow(Violation)
  says('agree', { shared: 's' })
  expect(() => says('object', { shared: 's', complaints: ['c'] })).toThrow(/two things/)
})
