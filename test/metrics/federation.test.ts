import { describe, expect, test } from '@jest/globals'
import { figuresOf } from '#aggregation/metrics/figures.ts'
import { encodeScores } from '#aggregation/metrics/lanes.ts'
import type { Scoring } from '#aggregation/metrics/scoring.ts'
import { equalEvaluation, type Measured } from '#aggregation/quantise.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { eventOf } from '#coordinator/api/views.ts'
import type { Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { TrainerBackend } from '#protocol/ports.ts'
import { federate } from '#sim/federation.ts'
import { TOY_ORDER, TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { verifyRecord } from '#verify/verify.ts'
import { BINARY, binary, labels, measured, type Rows } from './given.ts'

const SITES = 3

/** Each site has other rows, and more of them than the one before. */
function rowsOf(site: number): Rows {
  const rows = Array.from({ length: 20 + 15 * site }, (_, row) => ({ z: ((row * 37 + site * 11) % 41) / 8 - 2, row }))
  return { given: rows.map(({ z }) => z), labels: rows.map(({ z, row }) => Number(z + (row % 7) / 2 - 1.5 > 0)) }
}

async function run(masking: 'none' | 'secagg/1', task: object, measuredAt: (site: number) => Measured) {
  const trainerOf = (site: number): TrainerBackend => ({
    ...toyTrainer(site),
    fit: async (...args) => ({ ...(await toyTrainer(site).fit(...args)), evaluation: measuredAt(site) }),
  })
  const cohort = { min: SITES, max: SITES, quorum: SITES }
  const order = createRunSchema.parse({ task, rounds: 1, masking, cohort, secure: { suite: 1 } })
  const blobs = openMemoryBlobs()
  const events: (Record<string, unknown> & { type: string })[] = []
  const { run: ended, coordinator } = await federate({
    ...{ seed: new Uint8Array(32).fill(3), sites: SITES, order, trainerOf, abreast: 1, blobs },
    tell: (advanced) => events.push(eventOf(advanced, TOY_ORDER)),
    signal: new AbortController().signal,
  })
  const verdict = await verifyRecord(ended.manifest as Cid, (cid) => blobs.getBlock(cid, BLOCK_BYTES_MAX), {
    coordinator,
  })
  return { ended, verdict, events }
}

/** What all sites' rows make, each as it counts. */
function expected(scoring: Scoring, measuredAt: (site: number) => Measured) {
  const sites = Array.from({ length: SITES }, (_, site) => measuredAt(site))
  const sum = sites[0]?.tallies?.map((cells, block) =>
    cells.map((_, cell) => sites.reduce((all, { tallies }) => all + (tallies?.[block]?.[cell] ?? 0), 0)),
  )
  const rows = sites.reduce((all, site) => all + site.rows, 0)
  return figuresOf(scoring, encodeScores(scoring, sum ?? []), rows)
}

describe('a run whose task asks for every metric of two classes', () => {
  test.each([
    ['none', 'of all rows', (one: Measured) => one],
    ['secagg/1', 'of sites that count alike', (one: Measured) => equalEvaluation(one, binary)],
  ] as const)('masking %s: tells, signs and proves the figures %s', async (masking, _, counts) => {
    const measuredAt = (site: number) => measured(binary, rowsOf(site))
    const { ended, verdict, events } = await run(masking, { ...TOY_TASK, metrics: BINARY }, measuredAt)
    const due = expected(binary, (site) => counts(measuredAt(site)))
    // Each site rounds its own sums.
    const near = due.map(({ name, micro, withinMicro }) => ({
      name,
      micro: name === 'brier' ? expect.closeTo(micro ?? 0, -2) : micro,
      withinMicro,
    }))
    expect(ended.evaluation?.figures).toEqual(near)
    expect(verdict).toMatchObject({ ok: true, evaluation: ended.evaluation })
    const told = events.findLast(({ type }) => type === 'run.completed')?.['evaluation']
    const figures = ended.evaluation?.figures?.map(({ name, micro, withinMicro }) => ({
      ...{ name, value: (micro ?? 0) / 1e6, within: withinMicro / 1e6 },
    }))
    expect(told).toMatchObject({ rows: masking === 'none' ? 105 : null, figures })
  })

  test('or of several labels: each has its own, and all are proven under masks', async () => {
    const measuredAt = (site: number) => {
      const { given, labels: said } = rowsOf(site)
      const some = [...said.keys()].slice(0, 2 * Math.floor(said.length / 2))
      // Every third is not known; of each row something is.
      const known = some.map((at) => (at % 3 === site ? Number.NaN : (said[at] as number)))
      return measured(labels(2), { given: given.slice(0, some.length), labels: known })
    }
    const [out] = TOY_TASK.architecture.layers as [object]
    const { ended, verdict } = await run(
      'secagg/1',
      {
        ...{ ...TOY_TASK, metrics: BINARY },
        architecture: { ...TOY_TASK.architecture, layers: [{ ...out, units: 2 }] },
        data: { ...TOY_TASK.data, label: { rule: 'multi-label', labels: [{ column: 'z' }, { column: 'w' }] } },
      },
      measuredAt,
    )
    const due = expected(labels(2), (site) => equalEvaluation(measuredAt(site), labels(2)))
    const exact = (figures: typeof due = []) => figures.filter(({ name }) => name !== 'brier')
    expect(exact(ended.evaluation?.figures)).toEqual(exact(due))
    expect(due.every(({ byLabel }) => byLabel?.every(([micro]) => micro !== null))).toBe(true)
    expect(verdict).toMatchObject({ ok: true, evaluation: ended.evaluation })
  })

  test('is refused where the task could not have them, with how to mend it', () => {
    const refused = createRunSchema.safeParse({
      ...{ task: { ...TOY_TASK, metrics: ['f1', 'auroc'] }, rounds: 1, cohort: { min: 3, max: 3, quorum: 3 } },
    })
    expect(refused.error?.issues[0]?.message).toMatch(/in this order: auroc, auprc, f1/)
  })
})
