import { describe, expect, test } from '@jest/globals'
import type { Cid, RunId } from '#protocol/ids.ts'
import type { RunManifest } from '#protocol/manifest.ts'
import { fileOf } from '#verify/bundle.ts'
import { type VerifyProgress, verifyBundle, verifyRecord } from '#verify/verify.ts'
import { ABORTED_LIES } from './aborted-lies.ts'
import { type RecordedRun, recordRun } from './fixture.ts'
import { LIES, type Lie } from './lies.ts'

async function verdictOf(run: RecordedRun) {
  return verifyBundle(fileOf(await run.file()))
}

describe('an honest record', () => {
  test('is proved, with the figures that its coordinator gave', async () => {
    const run = await recordRun({ absent: { 2: [1] } })
    const verdict = await verifyBundle(fileOf(await run.file()), { coordinator: run.coordinator.id })
    expect(verdict).toMatchObject({
      ok: true,
      pinned: true,
      root: run.root,
      coordinator: run.coordinator.id,
      nodes: run.nodes.map(({ id }) => id),
      model: run.manifest.model,
      evaluation: run.manifest.evaluation,
      accuracy: (run.manifest.evaluation?.correct ?? 0) / (run.manifest.evaluation?.rows ?? 1),
      budget: 1_000_001n,
      paid: 1_000_001n,
      released: 0n,
      rounds: [
        { outcome: 'closed', purpose: 'train', reports: 3, paid: 500_001n },
        { outcome: 'closed', purpose: 'train', reports: 2, paid: 500_000n },
        { outcome: 'closed', purpose: 'evaluate', reports: 3, paid: 0n, model: run.manifest.model },
      ],
      checked: { signatures: 1 + 3 + 3 + 8 + 5 },
    })
  })

  test('is proved with rounds that were aborted and tried again: the parts of the budget are those of the rounds that closed', async () => {
    const run = await recordRun({ aborted: { 1: 'selection', 3: 'aggregation', 5: 'reporting' } })
    expect(await verdictOf(run)).toMatchObject({
      ...{ ok: true, pinned: false, outcome: 'completed', paid: 1_000_001n, released: 0n },
      rounds: [
        { outcome: 'aborted', purpose: 'train', reason: 'too-few-nodes', reports: 0 },
        { outcome: 'closed', purpose: 'train', paid: 500_001n },
        { outcome: 'aborted', purpose: 'train', reason: 'aggregation-late', paid: 0n },
        { outcome: 'closed', purpose: 'train', paid: 500_000n },
        { outcome: 'aborted', purpose: 'evaluate', reason: 'too-few-reports', paid: 0n },
        { outcome: 'closed', purpose: 'evaluate', paid: 0n },
      ],
    })
  })

  test('is proved when every round was aborted, with no figure', async () => {
    const run = await recordRun({ aborted: { 1: 'selection', 2: 'reporting', 3: 'selection' }, until: 3 })
    const nothing = { evaluation: null, accuracy: null, paid: 0n, nodes: [] }
    expect(await verdictOf(run)).toMatchObject({ ok: true, outcome: 'failed', ...nothing })
  })

  test('is proved when its owner stopped it, before a round, between two, or after one that was aborted', async () => {
    for (const until of [0, 1, 2]) {
      const run = await recordRun({ until })
      const stopped = { outcome: 'stopped', reason: 'enough', rounds: { length: until } }
      expect(await verdictOf(run)).toMatchObject({ ok: true, ...stopped, evaluation: null })
    }
    const hooks = { run: (run: RunManifest) => ({ ...run, outcome: 'stopped', reason: 'enough' }) as const }
    const run = await recordRun({ until: 2, aborted: { 2: 'reporting' }, hooks })
    expect(await verdictOf(run)).toMatchObject({ ok: true, outcome: 'stopped', released: 500_000n })
  })

  test('is proved from loose blocks as from a file, and by the CID of its model', async () => {
    const run = await recordRun()
    const block = async (cid: Cid) => run.blocks.get(cid)
    expect(await verifyRecord(run.root, block, { expect: run.manifest.model })).toMatchObject({
      ok: true,
      pinned: true,
    })
    expect(await verifyRecord(run.root, block, { expect: run.root })).toMatchObject({ ok: true, pinned: true })
  })

  test('that somebody signed anew with other keys is proved, but never as the first coordinator’s', async () => {
    const first = await recordRun()
    const second = await recordRun({ seed: '2' })
    expect(await verdictOf(second)).toMatchObject({ ok: true, pinned: false })
    const file = fileOf(await second.file())
    const pinned = await verifyBundle(file, { coordinator: first.coordinator.id })
    expect(pinned).toMatchObject({ ok: false, step: 'coordinator' })
  })

  test('says each step as it begins it', async () => {
    const seen: VerifyProgress[] = []
    const run = await recordRun({ planned: 1 })
    await verifyBundle(fileOf(await run.file()), { progress: (at) => seen.push(at) })
    const perRound = ['round-manifest', 'plan', 'cohort', 'selection', 'update', 'vector', 'sum', 'model', 'payout']
    expect(seen.map(({ step }) => step)).toEqual([
      'container',
      'run-manifest',
      'task',
      'genesis',
      ...perRound,
      ...perRound,
      'ledger',
    ])
    expect(seen.at(-2)).toEqual({ step: 'payout', round: 2, rounds: 2 })
  })
})

describe('a record that lies once', () => {
  for (const [step, lies] of Object.entries(LIES))
    test.each(lies)(`fails at ${step} for %s`, async (_what, round, hooks, shape = {}) => {
      const run = await recordRun({ ...shape, hooks })
      const verdict = await verifyRecord(run.root, async (cid) => run.blocks.get(cid))
      expect(verdict).toMatchObject({ ok: false, step, detail: expect.stringMatching(/./) })
      expect(verdict.ok ? undefined : verdict.round).toBe(round)
    })

  for (const [step, lies] of Object.entries(ABORTED_LIES) as [string, readonly Lie[]][])
    test.each(lies)(`about an aborted round fails at ${step} for %s`, async (_what, round, hooks, shape = {}) => {
      const run = await recordRun({ ...shape, hooks })
      const verdict = await verifyRecord(run.root, async (cid) => run.blocks.get(cid))
      expect(verdict).toMatchObject({ ok: false, step, round, detail: expect.stringMatching(/./) })
    })

  const first = Object.entries({ ...LIES, ...ABORTED_LIES }).flatMap(([step, lies]) =>
    (lies as readonly Lie[]).slice(0, 1).map(([what, ...told]) => [step, what, told] as const),
  )
  test.each(first)('fails in its bundle as well at %s for %s', async (step, _what, [round, hooks, shape = {}]) => {
    const verdict = await verdictOf(await recordRun({ ...shape, hooks }))
    expect(verdict).toMatchObject({ ok: false, step, detail: expect.stringMatching(/./) })
    expect(verdict.ok ? undefined : verdict.round).toBe(round)
  })

  test('fails at run when it is of another run than the one that was asked for, or asked for was a round of it', async () => {
    const run = await recordRun()
    const file = fileOf(await run.file())
    const other = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId
    expect(await verifyBundle(file, { asked: { run: run.manifest.run } })).toMatchObject({ ok: true, pinned: false })
    for (const asked of [{ run: other }, { run: run.manifest.run, round: 1 }])
      expect(await verifyBundle(file, { asked, coordinator: run.coordinator.id })).toMatchObject({
        ...{ ok: false, step: 'run', detail: expect.stringContaining(asked.run) },
      })
  })

  test('fails at expect when neither the run nor its model is the expected one', async () => {
    const run = await recordRun()
    const file = fileOf(await run.file())
    expect(await verifyBundle(file, { expect: run.manifest.task })).toMatchObject({ ok: false, step: 'expect' })
  })

  test('fails at block when a source keeps a block back, or answers with other bytes, whichever block it is', async () => {
    const run = await recordRun({ planned: 1, nodes: 2 })
    const asked = new Set<Cid>()
    const honest = async (cid: Cid) => {
      asked.add(cid)
      return run.blocks.get(cid)
    }
    expect(await verifyRecord(run.root, honest)).toMatchObject({ ok: true })
    for (const victim of asked) {
      const missing = await verifyRecord(run.root, async (cid) => (cid === victim ? undefined : run.blocks.get(cid)))
      expect(missing).toMatchObject({ ok: false, step: 'block', detail: expect.stringContaining(victim) })
      const other = run.blocks.get(run.root)
      const wrong = victim === run.root ? new Uint8Array(3) : other
      const swapped = await verifyRecord(run.root, async (cid) => (cid === victim ? wrong : run.blocks.get(cid)))
      expect(swapped).toMatchObject({ ok: false, step: 'block', detail: expect.stringContaining(victim) })
    }
  })

  test('is not blamed for a fault of the disk, which is thrown', async () => {
    const run = await recordRun()
    const broken = () => Promise.reject(new Error('EIO'))
    await expect(verifyRecord(run.root, broken)).rejects.toThrow('EIO')
    await expect(verifyBundle({ sizeBytes: 1000, read: broken })).rejects.toThrow('EIO')
  })
})
