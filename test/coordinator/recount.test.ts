import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { recountEffect } from '#coordinator/effects/recount.ts'
import { obligations } from '#coordinator/obligations.ts'
import { type Run, stepRun } from '#coordinator/run.ts'
import type { RunEvent } from '#coordinator/run-events.ts'
import { signerOf } from '#protocol/envelope.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { AbortedManifest } from '#protocol/manifest.ts'
import { readSealed } from '#protocol/sealed.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { cohortOf } from '#test/cohort.ts'
import { happens, maskedSpecOf, node, specOf } from './fixture.ts'
import {
  accepted,
  acts,
  askSpecs,
  eventOf,
  lapse,
  maskedSpecs,
  moveOn,
  plainSpecs,
  play,
  started,
  until,
} from './histories.ts'

const signer = signerOf(new Uint8Array(32).fill(1))

/** What is sealed of the aborted round that this run has last. */
async function recordOf(run: Run): Promise<AbortedManifest> {
  const [blobs, withheld] = [openMemoryBlobs(), openMemoryBlobs()]
  const [owed] = obligations(run).filter(({ kind }) => kind === 'recount')
  if (!owed) throw new Error('no round came to nothing')
  const made = await recountEffect({ blobs, withheld, signer })(run, owed, new AbortController().signal)
  expect(await recountEffect({ blobs, withheld, signer })(run, owed, new AbortController().signal)).toEqual(made)
  if (made.kind !== 'recounted') throw new Error(`answered by ${made.kind}`)
  expect(stepRun(run, { ...made, at: run.at } as RunEvent).ok).toBe(true)
  const sealed = await readSealed(made.record, 'aborted', (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX))
  if (!sealed.ok) throw new Error(sealed.refusal)
  return sealed.value.value
}

const words = ({ seats }: AbortedManifest) => seats.map(({ update, reason }) => [update !== null, reason])
const plain = () => started(specOf({ cohort: cohortOf({ min: 4, max: 4, quorum: 3 }) }))
const masked = () => started(maskedSpecOf(4))

describe('what is put down of a round that came to nothing', () => {
  test('has no seats where none were drawn', async () => {
    const record = await recordOf(lapse(until(plain(), 'selection')))
    expect(record).toMatchObject({ phase: 'selection', reason: 'too-few-nodes', seats: [], roster: null })
  })

  test('tells who reported, who left by which reason, and who was late', async () => {
    const run = lapse(play(until(plain(), 'reporting'), happens.report(0), happens.leave(2)))
    const record = await recordOf(run)
    expect(record).toMatchObject({ phase: 'reporting', reason: 'too-few-reports', parent: null })
    expect(record.seats.map((seat) => seat.node)).toEqual([0, 1, 2, 3].map(node))
    expect(words(record)).toEqual([
      [true, null],
      [false, 'late'],
      [false, 'link-lost'],
      [false, 'late'],
    ])
  })

  test('calls nobody late who had time left when the others were gone', async () => {
    const run = play(until(plain(), 'reporting'), happens.report(0), happens.leave(2), happens.leave(3))
    expect(words(await recordOf(run))).toEqual([
      [true, null],
      [false, 'round-ended'],
      [false, 'link-lost'],
      [false, 'link-lost'],
    ])
  })

  test('tells who shared no keys while there was time', async () => {
    const dealing = play(until(masked(), 'dealing'), happens.deal(0), happens.leave(2))
    const record = await recordOf(lapse(dealing))
    expect(record).toMatchObject({ phase: 'keys', reason: 'too-few-keys', roster: expect.any(String) })
    expect(words(record).map(([, reason]) => reason)).toEqual(['round-ended', 'no-keys', 'link-lost', 'no-keys'])
  })

  test('tells who gave an input and did not confirm it, and who left after it', async () => {
    const asked = play(until(masked(), 'confirming'), happens.confirm(0), happens.leave(1))
    const record = await recordOf(until(lapse(asked), undefined))
    expect(record).toMatchObject({ phase: 'consistency', reason: 'too-few-confirmations' })
    expect(words(record)).toEqual([
      [true, null],
      [true, 'link-lost'],
      [true, 'no-confirmation'],
      [true, 'no-confirmation'],
    ])
  })

  test('tells by which rule members refused to confirm the set', async () => {
    const refusals = [1, 2].map((seat) => ({ ...happens.leave(seat), reason: 'sums-too-alike' }))
    const record = await recordOf(until(play(until(masked(), 'confirming'), ...refusals), undefined))
    expect(words(record).map(([, reason]) => reason)).toEqual([null, 'sums-too-alike', 'sums-too-alike', null])
  })

  test('tells who confirmed and gave no shares', async () => {
    const record = await recordOf(lapse(play(until(masked(), 'unmasking'), happens.unmask(0))))
    expect(record).toMatchObject({ phase: 'unmasking', reason: 'too-few-shares' })
    expect(words(record)).toEqual([
      [true, null],
      [true, 'no-shares'],
      [true, 'no-shares'],
      [true, 'no-shares'],
    ])
  })

  test('blames nobody where its owner stopped the run', async () => {
    const reporting = play(until(plain(), 'reporting'), happens.report(1))
    const run = accepted(reporting, { kind: 'stopped', at: reporting.at, reason: 'enough' })
    const record = await recordOf(run)
    expect(record).toMatchObject({ phase: 'reporting', reason: 'run-stopped' })
    expect(words(record).map(([, reason]) => reason)).toEqual(['round-ended', null, 'round-ended', 'round-ended'])
  })

  test.each([
    ['plain', plainSpecs],
    ['masked', maskedSpecs],
    ['asking', askSpecs],
  ])('is whole whatever came before, in a %s run', async (_, specs) => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(specs, fc.array(acts, { maxLength: 60, size: 'max' })), async ([spec, history]) => {
        let run = started(spec)
        for (const act of history) {
          const next = stepRun(run, eventOf(run, act))
          if (next.ok) run = next.value
        }
        for (let step = 0; run.phase === 'running' && !run.unrecorded && step < 100; step++) run = moveOn(run)
        if (!run.unrecorded) return
        const { seats, roster, phase, purpose } = await recordOf(run)
        expect(purpose).toBe(run.unrecorded.purpose)
        expect(seats.every(({ update, reason }) => update !== null || reason !== null)).toBe(true)
        expect(seats.length === 0).toBe(phase === 'selection')
        if (roster !== null) expect(spec.secure).not.toBeNull()
      }),
      { numRuns: 100 },
    )
  })
})
