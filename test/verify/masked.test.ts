import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import { bodies, boxSchema, parcelSchema } from '#aggregation/secagg/messages.ts'
import { sha256 } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import { walk } from '#protocol/car.ts'
import { codecOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { decode } from '#protocol/codec.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { Secure } from '#protocol/plan.ts'
import { flip } from '#test/conformance/crypto.ts'
import { some } from '#test/effort.ts'
import { fileOf } from '#verify/bundle.ts'
import type { VectorFinder } from '#verify/session.ts'
import { type VerifyProgress, verifyBundle, verifyRecord } from '#verify/verify.ts'
import { type RecordedRun, recordRun, type Shape } from './fixture.ts'
import type { Lie, MaskedStep } from './lies.ts'
import { MEMBERSHIP_LIES } from './masked-lies.ts'
import { ENDING_LIES, SUM_LIES } from './sum-lies.ts'
import { PUBLIC } from './telling.ts'

const blockOf = (run: RecordedRun) => async (cid: Cid) => run.blocks.get(cid)
const secure = (suite: 1 | 2, publish: Secure['publish']): Secure => ({ suite, corrupt: 1, publish })
/** Members lost before and after they masked, and before and after they confirmed. */
const ROUGH: Shape = {
  nodes: 6,
  losses: { 1: { share: [6], mask: [2] }, 2: { mask: [1], confirm: [4] }, 3: { unmask: [3, 5] } },
}

/** Vectors that somebody was given, as they are or changed. */
function finderOf(run: RecordedRun, change: (bytes: Bytes) => Bytes | undefined = (bytes) => bytes): VectorFinder {
  return async (hash, sizeBytes) => {
    const found = run.hidden.get(toHex(hash))
    expect(found?.length).toBe(sizeBytes)
    const bytes = found && change(found)
    return (
      bytes &&
      (async function* pieces() {
        yield bytes.subarray(0, 33)
        yield bytes.subarray(33)
      })()
    )
  }
}

describe('an honest record of masked rounds', () => {
  test.each([1, 2] as const)('in suite %i is proved, each sum from its masked vectors', async (suite) => {
    const run = await recordRun({ ...ROUGH, secure: secure(suite, 'full') })
    const verdict = await verifyBundle(fileOf(await run.file()), { coordinator: run.coordinator.id })
    expect(verdict).toMatchObject({
      ok: true,
      masking: 'secagg/1',
      model: run.manifest.model,
      evaluation: run.manifest.evaluation,
      nodes: run.nodes.map(({ id }) => id),
      paid: 1_000_001n,
      rounds: [
        { purpose: 'train', reports: 4, vectors: 'recomputed' },
        { purpose: 'train', reports: 5, vectors: 'recomputed' },
        { purpose: 'evaluate', reports: 6, vectors: 'recomputed' },
      ],
    })
  })

  test.each([1, 2] as const)(
    'in suite %i that publishes hashes alone is proved but for its sums, and says so',
    async (suite) => {
      const run = await recordRun({ ...ROUGH, secure: secure(suite, 'commit-only') })
      expect(run.hidden.size).toBe(4 + 5 + 6)
      const verdict = await verifyBundle(fileOf(await run.file()))
      expect(verdict).toMatchObject({ ok: true, model: run.manifest.model })
      expect(verdict.ok && verdict.rounds.map(({ vectors }) => vectors)).toEqual([
        'committed',
        'committed',
        'committed',
      ])
      const whole = await verifyRecord(run.root, blockOf(run), { vectors: finderOf(run) })
      expect(whole).toMatchObject({ ok: true, model: run.manifest.model })
      expect(whole.ok && whole.rounds.map(({ vectors }) => vectors)).toEqual(['recomputed', 'recomputed', 'recomputed'])
    },
  )

  test('is proved with sessions that came to nothing, of which the next plan tells', async () => {
    const run = await recordRun({
      secure: secure(2, 'full'),
      planned: 2,
      fates: { 2: 'abandoned', 3: 'certified', 5: 'abandoned' },
    })
    expect(await verifyBundle(fileOf(await run.file()))).toMatchObject({
      ok: true,
      rounds: [
        { vectors: 'recomputed' },
        { outcome: 'aborted', vectors: null },
        { outcome: 'aborted', vectors: null },
        { vectors: 'recomputed' },
        { outcome: 'aborted' },
        { vectors: 'recomputed' },
      ],
    })
  })

  test('says each step as it begins it, and never that a sum held which was not added up', async () => {
    const stepsOf = async (publish: Secure['publish']) => {
      const seen: VerifyProgress[] = []
      const run = await recordRun({ secure: secure(1, publish), planned: 2, fates: { 2: 'abandoned' } })
      await verifyRecord(run.root, blockOf(run), { progress: (at) => seen.push(at) })
      return seen.filter(({ round }) => round === 3).map(({ step }) => step)
    }
    const before = ['round-manifest', 'plan', 'endings', 'cohort', 'selection', 'session']
    expect(await stepsOf('full')).toEqual([...before, 'vector', 'sum', 'model', 'payout'])
    expect(await stepsOf('commit-only')).toEqual([...before, 'ranges', 'model', 'payout'])
  })
})

describe('the bundle of masked rounds', () => {
  const SEALED =
    /^(plan|round|aborted|receipt|run|Advert|Roster|ShareKeys|Shared|MaskedInput|Survivors|QuorumCert|Result|Abandon)$/

  test.each(['full', 'commit-only'] as const)(
    'that publishes %s holds everything that the proof needs, and nothing private',
    async (publish) => {
      const run = await recordRun({
        ...ROUGH,
        ...{ secure: secure(2, publish), planned: 2, fates: { 3: 'abandoned', 4: 'certified' } },
      })
      const file = Buffer.from(await run.file())
      expect((await verifyBundle(fileOf(file))).ok).toBe(true)
      expect(run.secrets.length).toBeGreaterThan(300)
      for (const secret of run.secrets) expect(file.includes(Buffer.from(secret))).toBe(false)

      const published: (Cid | undefined)[] = []
      const raw = new Set<Cid>()
      for await (const { cid, bytes } of walk(run.root, async (at) => run.blocks.get(at) as Bytes)) {
        if (codecOf(cid) === RAW) raw.add(cid)
        if (codecOf(cid) !== DAG_CBOR) continue
        const block: unknown = dagCbor.decode(bytes)
        for (const odd of [boxSchema, parcelSchema, bodies.Unmask]) expect(odd.safeParse(block).success).toBe(false)
        expect((block as { t?: string }).t ?? 'run').toMatch(SEALED)
        const result = decode(bodies.Result, bytes, BLOCK_BYTES_MAX)
        // What was revealed is found, so what was not would be.
        if (result.ok) for (const { b } of result.value.selfSeeds) expect(file.includes(Buffer.from(b))).toBe(true)
        const input = decode(bodies.MaskedInput, bytes, BLOCK_BYTES_MAX)
        if (input.ok) published.push(input.value.cid)
      }
      expect(published.length).toBeGreaterThanOrEqual(4 + 5 + 6)
      expect(published.every((cid) => (publish === 'full' ? cid && raw.has(cid) : cid === undefined))).toBe(true)
    },
  )
})

/** Every step that only a masked round has. */
const LIES: Readonly<Record<MaskedStep | 'plan' | 'update' | 'model', readonly Lie[]>> = {
  ...MEMBERSHIP_LIES,
  ...SUM_LIES,
  endings: ENDING_LIES,
}

describe('a record of masked rounds that lies once', () => {
  for (const [step, lies] of Object.entries(LIES))
    test.each(some(Math.ceil(lies.length / 3), lies))(
      `fails at ${step} for %s`,
      async (_what, round, hooks, shape = {}) => {
        const run = await recordRun({ ...shape, hooks })
        const verdict = await verifyRecord(run.root, blockOf(run))
        expect(verdict).toMatchObject({ ok: false, step, round, detail: expect.stringMatching(/./) })
      },
    )

  test('fails at block when a source keeps any block of a session back', async () => {
    const run = await recordRun({ secure: secure(2, 'full'), losses: { 1: { mask: [3] } }, until: 1 })
    const asked = new Set<Cid>()
    await verifyRecord(run.root, async (cid) => {
      asked.add(cid)
      return run.blocks.get(cid)
    })
    for (const victim of asked) {
      const verdict = await verifyRecord(run.root, async (cid) => (cid === victim ? undefined : run.blocks.get(cid)))
      expect(verdict).toMatchObject({ ok: false, step: 'block', detail: expect.stringContaining(victim) })
    }
  })
})

describe('a record that publishes hashes alone', () => {
  const hidden: Shape = { secure: { ...PUBLIC, publish: 'commit-only' } }

  test.each([
    ['is kept back', () => undefined, 'nothing that was given has SHA-256'],
    ['has a bit flipped', (bytes: Bytes) => flip(bytes, 300), 'not the bytes that member 1 signed'],
    ['is cut short', (bytes: Bytes) => bytes.subarray(16), 'bytes of'],
    ['goes on after its end', (bytes: Bytes) => Uint8Array.of(...bytes, 0), 'is more than'],
  ])('fails at vector when one of those given %s', async (_, change, detail) => {
    const run = await recordRun(hidden)
    const [victim] = run.hidden.keys()
    const vectors = finderOf(run, (bytes) => (toHex(sha256(bytes)) === victim ? change(bytes) : bytes))
    const verdict = await verifyRecord(run.root, blockOf(run), { vectors })
    expect(verdict).toMatchObject({ ok: false, step: 'vector', round: 1, detail: expect.stringContaining(detail) })
  })

  test('can have another sum than its vectors, and all that follows from it: only who has the vectors finds that', async () => {
    const sum = (lanes: Uint32Array, round: number) => (round === 2 ? lanes.with(9, (lanes[9] as number) + 1) : lanes)
    const run = await recordRun({ ...hidden, hooks: { sum } })
    const believed = await verifyRecord(run.root, blockOf(run))
    expect(believed.ok && believed.rounds[1]?.vectors).toBe('committed')
    const vectors = finderOf(run)
    expect(await verifyRecord(run.root, blockOf(run), { vectors })).toMatchObject({ ok: false, step: 'sum', round: 2 })
    const open = await recordRun({ secure: PUBLIC, hooks: { sum } })
    expect(await verifyRecord(open.root, blockOf(open))).toMatchObject({ ok: false, step: 'sum', round: 2 })
  })

  for (const [step, lies] of Object.entries({ ranges: SUM_LIES.ranges, sum: SUM_LIES.sum.slice(1) }))
    test.each(lies)(`fails at ${step} for %s without any vector`, async (_what, round, hooks, shape = {}) => {
      const run = await recordRun({ ...shape, ...hidden, hooks })
      expect(await verifyRecord(run.root, blockOf(run))).toMatchObject({ ok: false, step, round })
    })
})
