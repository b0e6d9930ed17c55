import { describe, expect, test } from '@jest/globals'
import { Capabilities, isStale, standingOf, standingOfAll } from '#coordinator/capabilities.ts'
import { Drains } from '#coordinator/drains.ts'
import { Eligibility } from '#coordinator/eligibility.ts'
import { Federations } from '#coordinator/federations.ts'
import { CAPABILITY_MILLIS_MAX } from '#protocol/capability.ts'
import type { ReferenceModel } from '#protocol/reference-models.ts'
import type { Verdict } from '#protocol/spot-check.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { capability, NOW } from './capability.ts'
import { signer } from './live.ts'

const HOUR = 3_600_000
const [ann, ben] = [signer('ann').id, signer('ben').id]

function opened(log = openMemoryLog(), clock = virtualClock(NOW)) {
  return { log, clock, capabilities: new Capabilities({ log, clock }) }
}

const check = (model: ReferenceModel, verdict: Verdict, claimedMilli = 10_000_000) => ({
  ...{ model, verdict, claimedMilli, observedMilli: null, elapsedMillis: null, trainMillis: null },
})

const outcomeOf = (result: { readonly ok: boolean; readonly refusal?: string }) => (result.ok ? 'ok' : result.refusal)

describe('what a node says that it can do', () => {
  test('is what it said last, whichever process hears it, and after a restart', async () => {
    const { log, clock, capabilities } = opened()
    expect(await capabilities.report(ann, 1, capability(1000))).toMatchObject({ ok: true })
    await clock.advance(HOUR)
    const other = opened(log, clock).capabilities
    expect(await other.report(ann, 2, capability(2000))).toMatchObject({ ok: true })
    for (const each of [capabilities, other, opened(log, clock).capabilities])
      expect(await each.get(ann)).toMatchObject({ seq: 2, at: NOW + HOUR, report: capability(2000) })
    expect(await log.head('capabilities')).toBe(2)
  })

  test('is refused where it is an old frame, and where it comes too often', async () => {
    const { log, clock, capabilities } = opened()
    await capabilities.report(ann, 7, capability(1000))
    for (const seq of [7, 6])
      expect(await capabilities.report(ann, seq, capability(9000))).toMatchObject({ refusal: 'replayed' })
    expect(await capabilities.report(ann, 8, capability(9000))).toMatchObject({ refusal: 'too-often' })
    expect(await capabilities.report(ben, 1, capability(9000))).toMatchObject({ ok: true })
    await clock.advance(HOUR)
    expect(await capabilities.report(ann, 9, capability(9000))).toMatchObject({ ok: true })
    expect(await log.head('capabilities')).toBe(3)
  })

  test('told again says nothing new: no entry, and it is no younger', async () => {
    const { log, clock, capabilities } = opened()
    await capabilities.report(ann, 1, capability(10_000))
    await clock.advance(CAPABILITY_MILLIS_MAX - 1)
    expect(await capabilities.report(ann, 2, capability(10_000))).toMatchObject({ ok: true })
    expect(await log.head('capabilities')).toBe(1)
    const [known] = await capabilities.select(() => true)
    expect(isStale(known as { at: number }, clock.now())).toBe(false)
    expect(isStale(known as { at: number }, clock.now() + 1)).toBe(true)
  })

  test('takes no more of the disk in a day, and of the memory, than is set aside for it', async () => {
    const [log, clock] = [openMemoryLog(), virtualClock(NOW)]
    const capabilities = new Capabilities({ log, clock }, { nodes: 2, dayEntries: 4, entries: 6 })
    const say = async (name: string) => (await capabilities.report(signer(name).id, clock.now(), capability(1))).ok
    expect([await say('a'), await say('b'), await say('c'), await say('d')]).toEqual([true, true, true, true])
    expect((await capabilities.select(() => true)).map(({ node }) => node)).toEqual([signer('c').id, signer('d').id])
    expect([await say('e'), await log.head('capabilities')]).toEqual([false, 4])
    await clock.advance(24 * HOUR)
    expect([await say('e'), await say('f'), await say('g'), await log.head('capabilities')]).toEqual([
      true,
      true,
      false,
      6,
    ])
    await clock.advance(24 * HOUR)
    expect(await say('g')).toBe(false)
  })
})

describe('what checks make of it', () => {
  const both = capability(10_000, {
    speeds: [
      { model: 'mlp', milliSamplesPerSecond: 10_000_000, measuredAt: NOW },
      { model: 'cnn', milliSamplesPerSecond: 3_000_000, measuredAt: NOW },
    ],
  })

  test('is nothing until each claim was tested, and a doubt about all as soon as one failed', async () => {
    const { capabilities } = opened()
    await capabilities.report(ann, 1, both)
    const standings = async () => {
      const known = await capabilities.get(ann)
      if (!known) throw new Error('it is known')
      return [standingOf(known, 'mlp'), standingOf(known, 'cnn'), standingOfAll(known)]
    }
    expect(await standings()).toEqual(['unchecked', 'unchecked', 'unchecked'])
    await capabilities.note(ann, check('mlp', 'confirmed'))
    expect(await standings()).toEqual(['confirmed', 'unchecked', 'unchecked'])
    await capabilities.note(ann, check('cnn', 'confirmed', 3_000_000))
    expect(await standings()).toEqual(['confirmed', 'confirmed', 'confirmed'])
    for (const verdict of ['slower', 'wrong', 'unanswered'] as const) {
      await capabilities.note(ann, check('cnn', verdict, 3_000_000))
      expect(await standings()).toEqual(['confirmed', 'doubted', 'doubted'])
    }
    await capabilities.note(ann, check('cnn', 'confirmed', 3_000_000))
    expect(await standings()).toEqual(['confirmed', 'confirmed', 'confirmed'])
  })

  test('covers no higher claim than the one that was confirmed', async () => {
    const { clock, capabilities } = opened()
    await capabilities.report(ann, 1, capability(10_000))
    await capabilities.note(ann, check('mlp', 'confirmed'))
    await clock.advance(HOUR)
    await capabilities.report(ann, 2, capability(11_000))
    expect(standingOfAll((await capabilities.get(ann)) as never)).toBe('confirmed')
    await clock.advance(HOUR)
    await capabilities.report(ann, 3, capability(100_000))
    expect(standingOfAll((await capabilities.get(ann)) as never)).toBe('unchecked')
  })

  test('is forgotten of a node that is busy whenever it is asked, until it lets itself be checked: that is no lie', async () => {
    const { capabilities } = opened()
    await capabilities.report(ann, 1, capability(10_000))
    await capabilities.note(ann, check('mlp', 'confirmed'))
    for (let asked = 0; asked < 8; asked++) {
      expect(standingOfAll((await capabilities.get(ann)) as never)).toBe('confirmed')
      await capabilities.note(ann, 'put-off')
    }
    expect(standingOfAll((await capabilities.get(ann)) as never)).toBe('unchecked')
    await capabilities.note(ann, check('mlp', 'confirmed'))
    expect(standingOfAll((await capabilities.get(ann)) as never)).toBe('confirmed')
  })

  test('keeps a node whose training was found wrong out of rounds that are for anybody, until each claim holds again', async () => {
    const { log, clock, capabilities } = opened()
    const federations = new Federations({ log, clock, secret: new Uint8Array(32) })
    const doors = { federations, drains: new Drains({ log, clock }), capabilities }
    const open = new Eligibility({ admits: 'open', ...doors })
    const listed = new Eligibility({ admits: new Map([[ann, null]]), ...doors })
    const may = async () => [
      await open.invited(null, [ann, ben]),
      await open.invitesAll(null),
      outcomeOf(await open.of(null, ann)),
    ]
    await capabilities.report(ann, 1, both)
    const everybody = [[ann, ben], true, 'ok']
    expect(await may()).toEqual(everybody)
    for (const verdict of ['slower', 'unanswered'] as const) {
      await capabilities.note(ann, check('mlp', verdict))
      expect(await may()).toEqual(everybody)
    }
    await capabilities.note(ann, check('mlp', 'wrong'))
    await capabilities.note(ann, check('cnn', 'confirmed', 3_000_000))
    expect(await may()).toEqual([[ben], false, 'found-wrong'])
    // Whom somebody has put on a list, or made a member, is his to judge.
    expect(await listed.invited(null, [ann])).toEqual([ann])
    expect(outcomeOf(await listed.of(null, ann))).toBe('ok')
    await capabilities.note(ann, check('mlp', 'slower'))
    expect(await may()).toEqual(everybody)
  })

  test('is kept of the last checks only, and of no node that said nothing', async () => {
    const { log, capabilities } = opened()
    await capabilities.note(ann, check('mlp', 'wrong'))
    expect(await log.head('capabilities')).toBe(0)
    await capabilities.report(ann, 1, capability(10_000))
    for (let index = 0; index < 20; index++) await capabilities.note(ann, check('mlp', 'confirmed', index))
    const { checks } = (await capabilities.get(ann)) as { checks: readonly { claimedMilli: number }[] }
    expect(checks.map(({ claimedMilli }) => claimedMilli)).toEqual(Array.from({ length: 12 }, (_, index) => index + 8))
  })
})
