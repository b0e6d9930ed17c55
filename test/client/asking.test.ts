import { describe, expect, test } from '@jest/globals'
import { integerQuantiserFor } from '#aggregation/quantise.ts'
import { answer, inputKeyOf, readAsking, type Statistician, type Tallied } from '#client/asking.ts'
import { policyFor } from '#client/policy.ts'
import { siteTerms } from '#client/site.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import type { Plan } from '#protocol/plan.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { askSeed } from '#protocol/seeds.ts'
import { RUN } from '#sim/setting.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { cohortOf } from '#test/cohort.ts'
import { question } from '#test/statistics/given.ts'

const ROWS = question([{ kind: 'count', column: null }], { minCell: 5 })
const other = cidOf(RAW, Uint8Array.of(1))

async function planned(change: Partial<Plan> = {}, asked: Question = ROWS) {
  const blobs = openMemoryBlobs()
  const bytes = encode(questionSchema, asked)
  const task = cidOf(DAG_CBOR, bytes)
  await blobs.putBlocks([{ cid: task, bytes }])
  const honest: Plan = {
    ...{ v: 1, run: RUN, round: 1, purpose: 'ask', population: 'open', masking: 'secagg/1', task, model: task },
    ...{ secure: { suite: 2, corrupt: 1, publish: 'full' }, parent: null, endings: null, cohortSeed: askSeed() },
    ...{ cohort: cohortOf({ min: 3, max: 4, quorum: 3 }), quantiser: integerQuantiserFor(4) },
    timing: {
      ...{
        selectionMillis: 1,
        keysMillis: 1,
        reportingMillis: 1,
        stragglerMillis: null,
        consistencyMillis: 1,
        unmaskingMillis: 1,
      },
      ...{ aggregationMillis: 1, settlementMillis: 1 },
    },
  }
  return { blobs, plan: { ...honest, ...change } }
}

const site = (says: Result<Tallied, 'no-column'>): Statistician => ({ tally: async () => says })
const tallied = (version: string, rows = 5n) =>
  accept({ version, tallies: [{ kind: 'count' as const, rows, missing: 0n }] })

async function asking() {
  const { blobs, plan } = await planned()
  const read = await readAsking(blobs, plan)
  if (!read.ok) throw new Error(read.refusal)
  return read.value
}

describe('a plan that asks', () => {
  test('is read with its question', async () => {
    expect(await asking()).toMatchObject({ kind: 'asking', question: ROWS })
  })

  test.each<[string, string, Partial<Plan>]>([
    ['is plain', 'unreadable-question', { secure: null }],
    ['is over a model', 'wrong-model', { model: other }],
    ['follows a round', 'foreign-parent', { parent: other }],
    [
      'takes fewer sites than its question wants',
      'cohort-too-small',
      { cohort: cohortOf({ min: 3, max: 4, quorum: 2 }) },
    ],
    [
      'takes a cohort that its lanes have no room for',
      'wrong-quantiser',
      { cohort: cohortOf({ min: 3, max: 9, quorum: 3 }) },
    ],
    ['rounds reals', 'wrong-quantiser', { quantiser: { ...integerQuantiserFor(4), rangeMicro: 1 } }],
  ])('is refused where it %s', async (_, refusal, change) => {
    const { blobs, plan } = await planned(change)
    expect(await readAsking(blobs, plan)).toMatchObject({ ok: false, refusal })
  })
})

describe('a site', () => {
  test('answers only questions whose cells are as large as its own rule has them', async () => {
    const assignment = await asking()
    const judged = (minCell: number | null) => policyFor('open', 2, siteTerms('open', 'open', { minCell }))(assignment)
    expect(judged(null)).toMatchObject({ refusal: 'questions-not-taken' })
    expect(judged(6)).toMatchObject({ refusal: 'cells-too-small' })
    expect(judged(5)).toMatchObject({ ok: true })
  })

  test('gives its answer under the version of its data, and none of other data than it was judged by', async () => {
    const assignment = await asking()
    expect(await inputKeyOf(assignment, site(tallied('dataset:1')))).toEqual(accept('dataset:1'))
    expect(await inputKeyOf(assignment, undefined)).toMatchObject({ refusal: 'questions-not-taken' })
    expect(await inputKeyOf(assignment, site(refuse('no-column')))).toMatchObject({ refusal: 'no-column' })
    const broken = { tally: () => Promise.reject(new Error('the disk is gone')) }
    expect(await inputKeyOf(assignment, broken)).toMatchObject({ refusal: 'fault', detail: 'the disk is gone' })
    const given = await answer(site(tallied('dataset:1', 7n)), assignment, 'dataset:1')
    expect(given.ok && [...given.value.lanes.slice(0, 9)]).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 7])
    expect(await answer(site(tallied('dataset:2')), assignment, 'dataset:1')).toMatchObject({ refusal: 'data-changed' })
  })
})
