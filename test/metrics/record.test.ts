import { describe, expect, test } from '@jest/globals'
import type { Figure } from '#protocol/metrics.ts'
import { type Hooks, recordRun, type Shape } from '#test/verify/fixture.ts'
import { round } from '#test/verify/hooks.ts'
import { PUBLIC } from '#test/verify/telling.ts'
import { fileOf } from '#verify/bundle.ts'
import type { Step } from '#verify/verdict.ts'
import { verifyBundle } from '#verify/verify.ts'

/** A record of a task that asks for AUROC, by the fixture that makes it from the specification. */
async function verdictOf(hooks: Hooks = {}, shape: Shape = {}) {
  const run = await recordRun({ ...shape, hooks: { ...hooks, task: (task) => ({ ...task, metrics: ['auroc'] }) } })
  return { run, verdict: await verifyBundle(fileOf(await run.file())) }
}

const figures = (change: (figure: Figure) => readonly Figure[] | undefined) =>
  round(2, ({ evaluation: { figures: [first] = [], ...evaluation } }) => {
    const changed = first && change(first)
    return { evaluation: changed ? { ...evaluation, figures: changed } : evaluation }
  })
/** Score lanes of a training round come after the model's parameters. */
const SCORES = 8 + 19
const lane = (change: (lanes: Uint32Array) => Uint32Array): Hooks => ({
  vector: (lanes, at) => (at.round === 2 && at.seat === 1 ? change(lanes) : lanes),
})

describe.each([
  ['plain', {}],
  ['masked', { secure: PUBLIC }],
] as const)('a %s record', (_, shape) => {
  test('is proved with the figures that its sums make', async () => {
    const { run, verdict } = await verdictOf({}, shape)
    expect(verdict).toMatchObject({ ok: true, evaluation: run.manifest.evaluation })
    const [figure] = run.manifest.evaluation?.figures ?? []
    expect(figure?.name).toBe('auroc')
    expect(figure?.micro).toBeGreaterThan(600_000)
  })

  const lies: readonly (readonly [string, Step, Hooks])[] = [
    ['a better figure', 'evaluation', figures((one) => [{ ...one, micro: (one.micro ?? 0) + 1 }])],
    [
      'a figure that is surer of itself',
      'evaluation',
      figures((one) => [{ ...one, withinMicro: one.withinMicro + 1 }]),
    ],
    ['no figures', 'evaluation', figures(() => undefined)],
    ['figures that nobody asked for', 'evaluation', figures((one) => [one, { ...one, name: 'auprc' }])],
    [
      'a row in a better bin, and one too many',
      'secure' in shape ? 'ranges' : 'vector',
      lane((lanes) => lanes.with(SCORES + 500, (lanes[SCORES + 500] ?? 0) + 1)),
    ],
  ]
  // What is no matter of masks is looked at once.
  test.each('secure' in shape ? lies.slice(-1) : lies)('with %s fails at %s', async (_what, step, hooks) => {
    expect((await verdictOf(hooks, shape)).verdict).toMatchObject({ ok: false, step, round: 2 })
  })
})
