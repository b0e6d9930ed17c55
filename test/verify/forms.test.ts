import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { walkBundle } from '#protocol/bundle.ts'
import { concat, equalBytes } from '#protocol/bytes.ts'
import { carHeader, carSection, walk } from '#protocol/car.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { modelSchema } from '#protocol/manifest.ts'
import type { Secure } from '#protocol/plan.ts'
import { times } from '#test/effort.ts'
import { Blocks } from '#verify/blocks.ts'
import { fileOf, readBundle } from '#verify/bundle.ts'
import type { LoneProof } from '#verify/lone-round.ts'
import { unaddedIn, type Verdict } from '#verify/verdict.ts'
import { type VerifyOptions, verifyAny, verifyBundle, verifyFile, verifyRecord, verifyRound } from '#verify/verify.ts'
import { type Hooks, type RecordedRun, recordRun, type Shape } from './fixture.ts'
import { round as atRound, stranger } from './hooks.ts'
import { LIES, otherRun } from './lies.ts'
import { fileUnder } from './store.ts'

const blockOf = (run: RecordedRun) => async (cid: Cid) => run.blocks.get(cid) as Bytes
const secure = (publish: Secure['publish']): Secure => ({ suite: 1, corrupt: 1, publish })
const read = async (file: Bytes) => readBundle(fileOf(file))
const verify = (file: Bytes, options: VerifyOptions = {}) => verifyFile(fileOf(file), options, verifyAny)
const bare = (run: RecordedRun, root = run.root) => fileUnder(root, run.blocks, { vectors: false })
const ALLOWED = { allowExpired: true }

const SHAPES: Readonly<Record<string, Shape>> = {
  plain: { absent: { 2: [1] } },
  'with rounds that came to nothing': { aborted: { 1: 'selection', 3: 'aggregation', 5: 'reporting' } },
  masked: { secure: secure('full'), losses: { 1: { mask: [2] } } },
  'masked, with abandoned sessions': { secure: secure('full'), planned: 1, fates: { 1: 'abandoned', 3: 'certified' } },
  'masked, that publishes hashes': { secure: secure('commit-only'), planned: 1 },
  'stopped before it began': { until: 0 },
}
const runs = new Map(
  await Promise.all(Object.entries(SHAPES).map(async ([name, shape]) => [name, await recordRun(shape)] as const)),
)
const proved = new Map<RecordedRun, Promise<Verdict>>()
/** What is found of the whole record, once. */
async function wholeOf(run: RecordedRun): Promise<Verdict> {
  const found = proved.get(run) ?? verifyBundle(fileOf(await run.file()))
  proved.set(run, found)
  return found
}
const runOf = (name: string) => runs.get(name) as RecordedRun
const rounds = [...runs].flatMap(([name, { manifest }]) =>
  manifest.rounds.map(({ round, manifest, aborted }) => [name, round, (manifest ?? aborted) as Cid] as const),
)

/** The blocks of a file, as sections. */
async function sectionsOf(run: RecordedRun, root: Cid, vectors: boolean): Promise<readonly Block[]> {
  return Array.fromAsync(walkBundle(root, blockOf(run), () => vectors))
}

/** CIDs of all that updates name as vectors, in rounds that closed and in others. */
async function vectorsOf(run: RecordedRun): Promise<ReadonlySet<Cid>> {
  const found = new Set<Cid>()
  for await (const _ of walkBundle(run.root, blockOf(run), (vector) => found.add(vector).size > 0));
  return found
}

describe('a bundle without vectors', () => {
  test.each([...runs])(
    'of a run (%s) is the same walk under the same root, and leaves out vectors alone',
    async (_, run) => {
      const whole = await Array.fromAsync(walk(run.root, blockOf(run)))
      const vectors = await vectorsOf(run)
      expect((await sectionsOf(run, run.root, true)).map(({ cid }) => cid)).toEqual(whole.map(({ cid }) => cid))
      const left = (await sectionsOf(run, run.root, false)).map(({ cid }) => cid)
      expect(left).toEqual(whole.map(({ cid }) => cid).filter((cid) => !vectors.has(cid)))
    },
  )

  test('says which form it has; one that names no vectors is whole', async () => {
    for (const [name, run] of runs) {
      const has = (await vectorsOf(run)).size > 0
      expect(await read(await bare(run))).toMatchObject({ ok: true, value: { kind: 'run', form: { vectors: !has } } })
      expect(await read(await run.file())).toMatchObject({ ok: true, value: { form: { vectors: true } } })
      expect([name, equalBytes(await bare(run), await run.file())]).toEqual([name, !has])
    }
  })

  test('with some of the vectors, whichever, is no bundle', async () => {
    for (const name of ['plain', 'masked']) {
      const run = runOf(name)
      const vectors = [...(await vectorsOf(run))]
      const blocks = await sectionsOf(run, run.root, true)
      const without = async (left: ReadonlySet<Cid>) =>
        read(concat(carHeader(run.root), ...blocks.filter(({ cid }) => !left.has(cid)).map(carSection)))
      expect(await without(new Set())).toMatchObject({ ok: true })
      await fc.assert(
        fc.asyncProperty(fc.subarray(vectors, { minLength: 1, maxLength: vectors.length - 1 }), async (left) => {
          expect(await without(new Set(left))).toMatchObject({ ok: false, refusal: 'container' })
        }),
        { numRuns: times(8, 20) },
      )
    }
  })

  test('is verified in all but its sums, and only by who asks for that', async () => {
    for (const [name, run] of runs) {
      const file = await bare(run)
      const has = (await vectorsOf(run)).size > 0
      const unasked = await verifyBundle(fileOf(file))
      if (has)
        expect(unasked).toMatchObject({
          ok: false,
          step: 'vector',
          detail: expect.stringContaining('--without-vectors'),
        })
      else expect(unasked.ok).toBe(true)
      const asked = await verifyBundle(fileOf(file), ALLOWED)
      expect([name, asked.ok]).toEqual([name, true])
      if (!asked.ok) continue
      const whole = await wholeOf(run)
      const { rounds, checked, ...rest } = asked
      expect(whole).toMatchObject(rest)
      expect(rounds.filter(({ outcome }) => outcome === 'closed').map(({ vectors }) => vectors)).toEqual(
        run.manifest.rounds.flatMap(({ manifest }) => (manifest ? [has ? 'expired' : 'committed'] : [])),
      )
      expect(unaddedIn(rounds)).toHaveLength(run.manifest.rounds.filter(({ manifest }) => manifest).length)
    }
  })

  test('that asks for the allowance and has its vectors is added up as ever', async () => {
    const run = runOf('plain')
    const verdict = await verifyRecord(run.root, blockOf(run), ALLOWED)
    expect(verdict.ok && verdict.rounds.map(({ vectors }) => vectors)).toEqual(Array(3).fill('recomputed'))
  })

  test('of loose blocks: rounds whose vectors are gone are said, round by round, and without asking they fail', async () => {
    for (const name of ['plain', 'masked']) {
      const run = runOf(name)
      const of = async (root: Cid) => {
        const found: Cid[] = []
        for await (const _ of walkBundle(root, blockOf(run), (cid) => found.push(cid) > 0));
        return found
      }
      const [first, second] = run.manifest.rounds.map(({ manifest }) => manifest) as [Cid, Cid]
      const gone = new Set([...(await of(first)).slice(0, 2), ...(await of(second)).slice(-1)])
      const block = async (cid: Cid) => (gone.has(cid) ? undefined : run.blocks.get(cid))
      const verdict = await verifyRecord(run.root, block, ALLOWED)
      expect(verdict.ok && verdict.rounds.map(({ vectors }) => vectors)).toEqual(['expired', 'expired', 'recomputed'])
      expect(await verifyRecord(run.root, block)).toMatchObject({
        ...{ ok: false, step: 'block', round: 1, detail: expect.stringContaining('--without-vectors') },
      })
    }
  })

  test('whose aggregate is not what its reports can make fails at ranges; one that is can be another sum', async () => {
    const sum = (change: (lanes: Uint32Array) => Uint32Array): Shape => ({
      hooks: { sum: (lanes, round) => (round === 2 ? change(lanes) : lanes) },
    })
    const off = (at: number, by: number) => sum((lanes) => lanes.with(at, (lanes[at] as number) + by))
    for (const shape of [off(1, 1), off(1, -1), off(2, 1), off(9, 2 ** 31)])
      expect(await verify(await bare(await recordRun(shape)), ALLOWED)).toMatchObject({
        ok: false,
        step: 'ranges',
        round: 2,
      })
    const believed = await recordRun(off(9, 1))
    expect(await verify(await bare(believed), ALLOWED)).toMatchObject({ ok: true })
    expect(await verify(await believed.file(), ALLOWED)).toMatchObject({ ok: false, step: 'sum', round: 2 })
  })
})

describe('a round by itself', () => {
  test.each(rounds)(
    '(%s, round %i) is verified from its own bundle, which holds no other round',
    async (name, round, root) => {
      const run = runOf(name)
      const file = await fileUnder(root, run.blocks)
      const of = run.manifest.rounds[round - 1]
      expect(await read(file)).toMatchObject({ ok: true, value: { root, kind: of?.manifest ? 'round' : 'aborted' } })
      const verdict = await verify(file, { coordinator: run.coordinator.id })
      const whole = await wholeOf(run)
      const { paid: _, ...same } = (whole.ok && whole.rounds[round - 1]) || { paid: 0n }
      expect(verdict).toMatchObject({ ok: true, pinned: true, run: run.manifest.run, round: same })
      const { start } = verdict as LoneProof
      const before = run.manifest.rounds.slice(0, round - 1).findLast(({ manifest }) => manifest)
      if (before)
        expect(start).toMatchObject({ kind: 'as-the-parent-says', parent: before.manifest, round: before.round })
      else expect(start.kind).toBe('genesis')
      const vectors = await vectorsOf(run)
      if (vectors.size > 0 && of?.manifest) {
        const short = await bare(run, root)
        expect(await verify(short)).toMatchObject({ ok: false, step: 'vector' })
        expect(await verify(short, ALLOWED)).toMatchObject({ ok: true, round: { vectors: 'expired' } })
      }
    },
  )

  test('holds of earlier rounds what it starts from and no more, of its task no genesis, and nothing is missing', async () => {
    const run = await recordRun({ planned: 4 })
    const sizes = await Promise.all(
      run.manifest.rounds
        .slice(1, 4)
        .map(async ({ manifest }) => (await sectionsOf(run, manifest as Cid, true)).length),
    )
    expect(new Set(sizes).size).toBe(1)
    const [first, second, third] = run.manifest.rounds.map(({ manifest }) => manifest) as [Cid, Cid, Cid]
    const blocks = (await sectionsOf(run, third, true)).map(({ cid }) => cid)
    const held = new Set(blocks)
    expect(held.has(second)).toBe(true)
    expect(held.has(first)).toBe(false)
    const genesis = (await verifyRound(first, blockOf(run))) as LoneProof
    expect(held.has(genesis.start.model)).toBe(false)
    const asked = new Set<Cid>()
    const source = async (cid: Cid) => {
      asked.add(cid)
      return held.has(cid) ? run.blocks.get(cid) : undefined
    }
    const { root } = run
    expect(await verifyRound(third, source)).toMatchObject({ ok: true })
    const made = await new Blocks(blockOf(run)).signed(third, 'round')
    const { model = root, aggregate = root } = made.ok ? made.value.value : {}
    const weights = (await Array.fromAsync(walk(model, blockOf(run)))).map(({ cid }) => cid)
    const results = [model, aggregate, ...weights.slice(1, 2)]
    expect(blocks.filter((cid) => !asked.has(cid)).toSorted()).toEqual(results.toSorted())
  })

  test.each<[string, Hooks]>([
    ['of another run', atRound(1, () => ({ run: otherRun }))],
    ['of a later round', atRound(1, () => ({ round: 2 }))],
    [
      "under a stranger's signature",
      {
        signed: (signed, { round }) =>
          round === 1 && signed.type === 'round' ? stranger.sign('round', signed.body) : signed,
      },
    ],
    ['of a model that is none', atRound(1, ({ plan }) => ({ model: plan }))],
    ['of weights for a model', atRound(1, ({ aggregate }) => ({ model: aggregate }))],
    ['of a memory that is no file', atRound(1, ({ plan }) => ({ memory: plan }))],
    ['of a memory of another length', atRound(1, ({ aggregate }) => ({ memory: aggregate }))],
  ])('fails at start when it follows the manifest %s', async (_, hooks) => {
    const run = await recordRun({ hooks, until: 2 })
    const root = run.manifest.rounds[1]?.manifest as Cid
    expect(await verify(await fileUnder(root, run.blocks))).toMatchObject({ ok: false, step: 'start', round: 2 })
  })

  test('fails at start when its parent names a model of these weights and another shape', async () => {
    const honest = await recordRun({ until: 1 })
    const model = await new Blocks(blockOf(honest)).read(honest.manifest.model, modelSchema)
    if (!model.ok) throw new Error(model.refusal)
    const bytes = encode(modelSchema, { ...model.value, tensors: model.value.tensors.toReversed() })
    const other = cidOf(DAG_CBOR, bytes)
    const run = await recordRun({ until: 2, hooks: atRound(1, () => ({ model: other })) })
    const root = run.manifest.rounds[1]?.manifest as Cid
    const file = await fileUnder(root, new Map([...run.blocks, [other, bytes]]))
    expect(await verify(file)).toMatchObject({ ok: false, step: 'start', detail: expect.stringContaining('weights') })
  })

  const OWN = ['plan', 'cohort', 'selection', 'update', 'vector', 'sum', 'model', 'memory', 'evaluation'] as const
  test.each(
    OWN.flatMap((step) =>
      LIES[step]
        .filter(([, at]) => at === 2)
        .slice(0, 2)
        .map((lie) => [step, ...lie] as const),
    ),
  )('fails at %s, as its run does, for %s', async (step, _what, _round, hooks, shape = {}) => {
    const run = await recordRun({ ...shape, hooks })
    const { manifest, aborted } = run.manifest.rounds[1] ?? {}
    const file = await fileUnder((manifest ?? aborted) as Cid, run.blocks)
    expect(await verify(file)).toMatchObject({ ok: false, step, round: 2 })
  })

  test('is pinned by its CID or its model, by the key, and by nothing else', async () => {
    const run = runOf('plain')
    const { manifest: root, model } = { ...run.manifest.rounds[1], model: run.manifest.model } as {
      manifest: Cid
      model: Cid
    }
    const file = await fileUnder(root, run.blocks)
    for (const expected of [root, model])
      expect(await verify(file, { expect: expected })).toMatchObject({ ok: true, pinned: true })
    expect(await verify(file)).toMatchObject({ ok: true, pinned: false })
    expect(await verify(file, { expect: run.root })).toMatchObject({ ok: false, step: 'expect' })
    const { run: id } = run.manifest
    expect(await verify(file, { asked: { run: id, round: 2 } })).toMatchObject({ ok: true, pinned: false })
    for (const asked of [{ run: id }, { run: id, round: 1 }])
      expect(await verify(file, { asked })).toMatchObject({ ok: false, step: 'run' })
    const stranger = run.nodes[0]?.id
    expect(await verify(file, stranger ? { coordinator: stranger } : {})).toMatchObject({
      ok: false,
      step: 'coordinator',
    })
  })
})
