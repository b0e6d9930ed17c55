import { describe, expect, test } from '@jest/globals'
import type { Cid } from '#protocol/ids.ts'
import { cohortOf } from '#test/cohort.ts'
import { question } from '#test/statistics/given.ts'
import type { Step } from '#verify/verdict.ts'
import { verifyRecord } from '#verify/verify.ts'
import { ASKED, type AskHooks, recordAsk } from './asks.ts'

const evaluated = { rows: 1, correct: 1, lossQ16: 0 }
const other = question([{ kind: 'count', column: 'sex' }])

/** Each says one thing otherwise; all else follows as it should. */
const LIES: readonly (readonly [what: string, step: Step, hooks: AskHooks])[] = [
  ['plain', 'task', { run: () => ({ masking: 'none' }) }],
  ['asked for money', 'task', { run: () => ({ budget: 5n, released: 5n }) }],
  ['planned for two rounds', 'task', { run: () => ({ planned: 2 }) }],
  ['a training round', 'plan', { plan: () => ({ purpose: 'train' }) }],
  ['a manifest of training', 'round-manifest', { manifest: () => ({ purpose: 'train' }) }],
  ['drawn by another seed', 'plan', { plan: () => ({ cohortSeed: new Uint8Array(32) }) }],
  ['asked of reals', 'plan', { plan: ({ quantiser }) => ({ quantiser: { ...quantiser, rangeMicro: 1 } }) }],
  [
    'about a model',
    'plan',
    { plan: ({ cohortSeed: _ }) => ({ model: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' as Cid }) },
  ],
  ['fewer than its quorum', 'cohort', { plan: () => ({ cohort: cohortOf({ min: 3, max: 4, quorum: 5 }) }) }],
  ['said to sum to something else', 'sum', { manifest: ({ plan }) => ({ aggregate: plan }) }],
  ['another model after it', 'model', { manifest: ({ plan }) => ({ model: plan }) }],
  ['a memory', 'memory', { manifest: ({ aggregate }) => ({ memory: aggregate }) }],
  ['figures on held-out rows', 'evaluation', { manifest: () => ({ evaluation: evaluated }) }],
  [
    'rows that one site counted twice in one item',
    'answer',
    { input: (lanes, site) => (site === 2 ? lanes.with(8, 6) : lanes) },
  ],
  [
    'paid with a receipt',
    'payout',
    { run: ({ rounds, task }) => ({ rounds: rounds.map((one) => ({ ...one, receipts: task })) }) },
  ],
  ['a failure though it was answered', 'ledger', { run: () => ({ outcome: 'failed', reason: 'tired' }) }],
  [
    'asked again after its answer',
    'run-manifest',
    {
      run: ({ rounds, task }) => ({ rounds: [...rounds, { round: 2, manifest: null, aborted: task, receipts: null }] }),
    },
  ],
  ['final figures', 'ledger', { run: () => ({ evaluation: evaluated }) }],
]

describe('the record of a question', () => {
  test('gives the answer, recomputed from the masked vectors', async () => {
    const { root, blocks, coordinator } = await recordAsk()
    const verdict = await verifyRecord(root, async (cid) => blocks.get(cid), { coordinator })
    expect(verdict).toMatchObject({ ok: true, pinned: true, question: ASKED, rounds: [{ vectors: 'recomputed' }] })
    expect(verdict.ok && verdict.answer).toEqual({
      sites: 4,
      parts: [
        { kind: 'count', column: null, rows: 12, missing: null },
        {
          ...{ kind: 'categories', column: 'sex', missing: 0, suppressed: 0, values: 12, other: 1 },
          levels: [
            { level: 0, rows: 4 },
            { level: 1, rows: 7 },
          ],
        },
      ],
    })
  })

  test.each(LIES)('fails where it is %s, at %s', async (_what, step, hooks) => {
    const { root, blocks } = await recordAsk(hooks)
    expect(await verifyRecord(root, async (cid) => blocks.get(cid))).toMatchObject({ ok: false, step })
  })

  test('fails where the question wants more sites than answered', async () => {
    const { root, blocks } = await recordAsk({}, { ...ASKED, minCohort: 5 })
    const verdict = await verifyRecord(root, async (cid) => blocks.get(cid))
    expect(verdict).toMatchObject({ ok: false, step: 'answer', detail: expect.stringContaining('cohort-too-small') })
  })

  test('fails where other things were counted than were asked', async () => {
    const { root, blocks } = await recordAsk({}, other)
    expect(await verifyRecord(root, async (cid) => blocks.get(cid))).toMatchObject({ ok: false, step: 'roster' })
  })
})
