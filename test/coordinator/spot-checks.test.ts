import { describe, expect, test } from '@jest/globals'
import { Capabilities } from '#coordinator/capabilities.ts'
import { SPOT_CHECKS, type SpotCheckDoors, SpotChecks } from '#coordinator/spot-checks.ts'
import { keystream, sha256 } from '#crypto'
import { toHex, utf8 } from '#protocol/bytes.ts'
import type { Capability } from '#protocol/capability.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { open } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { type CoordinatorMessage, readCoordinatorMessage } from '#protocol/messages.ts'
import { REPETITION_EPOCHS, REPETITION_SAMPLES } from '#protocol/reference-models.ts'
import { encodeCurve } from '#protocol/spot-check.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { must } from '#test/aggregation/given.ts'
import { capability, NOW } from './capability.ts'
import { signer } from './live.ts'

type Measure = Extract<CoordinatorMessage, { kind: 'measure' }>
const DAY = 86_400_000
const coordinator = signer('coordinator')
const [ann, ben] = [signer('ann').id, signer('ben').id]
const never = new AbortController().signal

/** What a training of this seed and repetition comes to: some numbers that nobody guesses. */
function curveOf(seed: Bytes, repetition: number): readonly number[] {
  const draw = sha256(utf8(`${toHex(seed)} ${repetition}`))
  return Array.from({ length: REPETITION_EPOCHS }, (_, epoch) => (2 + (draw[epoch] as number) / 256) / (epoch + 1))
}
const curves = (seed: Bytes, repetitions: number) =>
  Array.from({ length: repetitions }, (_, at) => curveOf(seed, at)).flat()

function opened(change: Partial<SpotCheckDoors> = {}) {
  const clock = virtualClock(NOW)
  const capabilities = new Capabilities({ log: openMemoryLog(), clock })
  const linked = new Set<NodeId>([ann, ben])
  const seated = new Set<NodeId>()
  const asked: { readonly to: NodeId; readonly message: Measure }[] = []
  const next = keystream(sha256(utf8('chance')), new Uint8Array(16))
  const arrived: (() => void)[] = []
  const checks = new SpotChecks({
    ...{ capabilities, clock, signer: coordinator, rule: SPOT_CHECKS, chance: (length) => next(length).slice() },
    transport: {
      linked: () => [...linked],
      async send(to, frame) {
        const message = must(readCoordinatorMessage(must(open(frame, 2 ** 16))))
        if (message.kind === 'measure') asked.push({ to, message })
        arrived.shift()?.()
      },
    },
    isOverloaded: () => false,
    inRounds: () => seated,
    recompute: async (_model, seed, repetitions) => repetitions.map((at) => curveOf(seed, at)),
    ...change,
  })
  const hear = (node: NodeId, losses: readonly number[] | 'busy', seed: Bytes, trainMillis = 1): string => {
    const said = { to: coordinator.id, seq: 1, seed }
    if (losses === 'busy') return outcome(checks.hear(node, { kind: 'busy', ...said }, []))
    const bytes = encodeCurve(losses)
    const curve = cidOf(RAW, bytes)
    return outcome(checks.hear(node, { kind: 'measured', ...said, curve, trainMillis }, [{ cid: curve, bytes }]))
  }
  /** Asks a node, lets it answer, and tells what was noted. */
  const check = async (perSecond: number, answer: (asked: Measure) => Promise<void> | void) => {
    const here = new Promise<void>((resolve) => arrived.push(resolve))
    const checking = checks.check({ node: ann, report: capability(perSecond) }, never)
    await here
    const message = asked.at(-1)?.message as Measure
    await answer(message)
    await clock.advance(200_000)
    await checking
    return (await capabilities.get(ann))?.checks.at(-1)
  }
  /** How long an honest node of this speed takes. */
  const works = (perSecond: number, { repetitions }: Measure) =>
    clock.advance(Math.ceil((repetitions * REPETITION_SAMPLES * 1000) / perSecond))
  return { clock, capabilities, linked, seated, asked, checks, hear, check, works }
}

function outcome(heard: { readonly ok: boolean; readonly refusal?: string }): string {
  return heard.ok ? 'taken' : (heard.refusal ?? '')
}

async function known(change?: Partial<SpotCheckDoors>) {
  const at = opened(change)
  await at.capabilities.report(ann, 1, capability(10_000))
  return at
}

describe('a spot check', () => {
  test('confirms a node that is as fast as it says and trains what it was asked to', async () => {
    const { check, hear, works } = await known()
    const noted = await check(10_000, async (asked) => {
      await works(8000, asked)
      expect(hear(ann, curves(asked.seed, asked.repetitions), asked.seed, 3500)).toBe('taken')
    })
    expect(noted).toMatchObject({ verdict: 'confirmed', model: 'mlp', claimedMilli: 10_000_000, trainMillis: 3500 })
    expect(noted?.observedMilli).toBeCloseTo(8_000_000, -4)
  })

  test('finds slower who claims ten times what it does, whatever its own clock says', async () => {
    const { check, hear, works } = await known()
    const noted = await check(100_000, async (asked) => {
      await works(10_000, asked)
      hear(ann, curves(asked.seed, asked.repetitions), asked.seed, 1)
    })
    expect(noted).toMatchObject({ verdict: 'unanswered' })
    const less = await check(30_000, async (asked) => {
      await works(10_000, asked)
      expect(hear(ann, curves(asked.seed, asked.repetitions), asked.seed, 1)).toBe('taken')
    })
    expect(less).toMatchObject({ verdict: 'slower', trainMillis: 1 })
  })

  test('finds wrong who makes up its losses, tells too few, or leaves half of the work out', async () => {
    const { check, hear } = await known()
    const lies: ((honest: readonly number[], asked: Measure) => readonly number[])[] = [
      (honest) => honest.map(() => 2.3),
      (honest) => honest.map((loss) => loss * 1.05),
      (honest) => honest.slice(REPETITION_EPOCHS),
      (honest) => honest.map(() => Number.NaN),
      // Of sixteen such answers one gets through: the draw of this test finds it.
      (honest) => honest.map((loss, index) => (index < honest.length / 2 ? loss : 2)),
      // Trained on the rows of another check.
      (_honest, { repetitions }) => curves(new Uint8Array(32), repetitions),
    ]
    for (const lie of lies) {
      const noted = await check(10_000, (asked) => {
        hear(ann, lie(curves(asked.seed, asked.repetitions), asked), asked.seed)
      })
      expect(noted).toMatchObject({ verdict: 'wrong' })
    }
  })

  test('hears no answer but to the one that is open, and from nobody but whom it asked', async () => {
    const { check, hear, clock } = await known()
    let old: Measure | undefined
    await check(10_000, (asked) => {
      old = asked
      hear(ann, curves(asked.seed, asked.repetitions), asked.seed)
    })
    const noted = await check(10_000, async (asked) => {
      const honest = curves(asked.seed, asked.repetitions)
      if (!old) throw new Error('there was one before')
      expect(asked.seed).not.toEqual(old.seed)
      // A replay, another's answer, another seed; and the right one when it is too late.
      expect(hear(ann, curves(old.seed, old.repetitions), old.seed)).toBe('no-check')
      expect(hear(ben, honest, asked.seed)).toBe('no-check')
      expect(hear(ann, honest, new Uint8Array(32).fill(3))).toBe('no-check')
      await clock.advance(60_000)
      expect(hear(ann, honest, asked.seed)).toBe('no-check')
    })
    expect(noted).toMatchObject({ verdict: 'unanswered', observedMilli: null })
  })

  test('is put off by a node that is busy or has lost its link, and says nothing of it', async () => {
    const { check, hear, capabilities, linked } = await known()
    expect(await check(10_000, ({ seed }) => void hear(ann, 'busy', seed))).toBeUndefined()
    expect(await check(10_000, () => void linked.delete(ann))).toBeUndefined()
    expect(await capabilities.get(ann)).toMatchObject({ putOff: 2, checks: [] })
  })

  test('is nothing that a coordinator waits for when it stops', async () => {
    const { checks, capabilities, clock } = await known()
    const stop = new AbortController()
    const checking = checks.check({ node: ann, report: capability(10_000) }, stop.signal)
    await clock.advance(0)
    expect(clock.waiting()).toBe(1)
    stop.abort()
    await checking
    expect(clock.waiting()).toBe(0)
    expect(await capabilities.get(ann)).toMatchObject({ putOff: 0, checks: [] })
  })

  test('takes no answer whose losses did not come along', async () => {
    const { check, checks } = await known()
    const curve = cidOf(RAW, new Uint8Array(4))
    const noted = await check(10_000, ({ seed }) => {
      const said = { to: coordinator.id, seq: 1, seed, curve, trainMillis: 1 }
      expect(checks.hear(ann, { kind: 'measured', ...said }, [])).toMatchObject({ refusal: 'block-missing' })
    })
    expect(noted).toMatchObject({ verdict: 'unanswered' })
  })
})

describe('who is checked, and when', () => {
  /** Minutes of ten hours in which somebody was asked. */
  async function tenHours(seed: string, population: 'open' | 'all' = 'open', of: Capability = capability(10_000)) {
    const next = keystream(sha256(utf8(seed)), new Uint8Array(16))
    const at = opened({ chance: (length) => next(length).slice(), rule: { ...SPOT_CHECKS, population } })
    await at.capabilities.report(ann, 1, of)
    const minutes: number[] = []
    for (let minute = 0; minute < 600; minute++) {
      const before = at.asked.length
      const turn = at.checks.turn(never)
      await at.clock.advance(0)
      if (at.asked.length > before) {
        minutes.push(minute)
        const { to, message } = at.asked.at(-1) as (typeof at.asked)[number]
        at.hear(to, curves(message.seed, message.repetitions), message.seed)
      }
      await turn
      await at.clock.advance(60_000)
    }
    return minutes
  }

  test('is drawn anew each minute: some checks in ten hours, never at the same times', async () => {
    const [one, other] = [await tenHours('one'), await tenHours('other')]
    expect(one).not.toEqual(other)
    expect(one).toEqual(await tenHours('one'))
    for (const minutes of [one, other]) {
      // An hour on the average until it is confirmed, and then a day.
      expect(minutes.length).toBeGreaterThan(0)
      expect(minutes.length).toBeLessThan(10)
      expect(minutes[0]).toBeLessThan(6 * 60)
    }
  })

  test("is no hospital's node unless the operator says so, no node without a report, and none that is stale", async () => {
    const hospital = capability(10_000, { population: 'hospital' })
    expect(await tenHours('one', 'open', hospital)).toEqual([])
    expect(await tenHours('one', 'all', hospital)).not.toEqual([])
    const at = opened({ chance: (length) => new Uint8Array(length) })
    await at.checks.turn(never)
    await at.capabilities.report(ann, 1, capability(10_000))
    await at.clock.advance(3 * DAY)
    await at.checks.turn(never)
    expect(at.asked).toEqual([])
  })

  test('is nobody while the coordinator has too much to do: its clock would find everybody slow', async () => {
    const at = opened({ chance: (length) => new Uint8Array(length), isOverloaded: () => true })
    await at.capabilities.report(ann, 1, capability(10_000))
    await at.checks.turn(never)
    expect(at.asked).toEqual([])
  })

  test('is nobody who is in a round, and to be busy for one of ours counts for nothing', async () => {
    const at = opened({ chance: (length) => new Uint8Array(length) })
    await at.capabilities.report(ann, 1, capability(10_000))
    at.seated.add(ann)
    await at.checks.turn(never)
    expect(at.asked).toEqual([])
    at.seated.clear()
    await at.check(10_000, ({ seed }) => {
      at.seated.add(ann)
      at.hear(ann, 'busy', seed)
    })
    expect(await at.capabilities.get(ann)).toMatchObject({ putOff: 0 })
  })

  test('is asked nothing that would take it minutes', async () => {
    const at = opened()
    await at.checks.check({ node: ann, report: capability(20) }, never)
    expect(at.asked).toEqual([])
  })
})
