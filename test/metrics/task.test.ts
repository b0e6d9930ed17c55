import { describe, expect, test } from '@jest/globals'
import { scoringOf } from '#aggregation/metrics/scoring.ts'
import { Evaluation } from '#client/trainers/evaluation.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import type { RunId } from '#protocol/ids.ts'
import type { Metric } from '#protocol/metrics.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { cid } from '#test/coordinator/fixture.ts'
import { tinyTask } from '#test/verify/tiny.ts'
import { BINARY, CLASSES, classes, measured } from './given.ts'

const task = tinyTask(new Uint8Array(32), cid('architecture'), cid('genesis'))
const ofClasses = (count: number): Task => {
  const { data } = task
  if (data.kind !== 'table') throw new Error('the tiny task is about a table')
  const label = { column: 'ill', rule: 'integer', classes: count } as const
  return { ...task, loss: 'softmax-cross-entropy', data: { ...data, label } }
}

describe('a task', () => {
  test.each<readonly [string, Task, readonly string[], RegExp | undefined]>([
    ['two classes', task, BINARY, undefined],
    ['64 classes', ofClasses(64), CLASSES, undefined],
    ['65 classes', ofClasses(65), ['auroc'], /at most 64 classes, and there are 65: leave them out/],
    ['three classes', ofClasses(3), ['sensitivity'], /sensitivity is not for more than two classes: auroc, auprc/],
    ['two classes', task, ['mae'], /mae is not for two classes/],
    ['two classes', task, [], /./],
    ['two classes', task, ['f1', 'auroc'], /in this order/],
    ['two classes', task, ['f1', 'f1'], /each once/],
  ])('of %s, with %#', (_, given, metrics, message) => {
    const parsed = taskSchema.safeEncode({ ...given, metrics: metrics as readonly Metric[] })
    if (!message) return expect(parsed.error).toBeUndefined()
    expect(parsed.error?.issues[0]?.message).toMatch(message)
  })

  test('that cannot have a metric makes no run, and the answer says where and how to mend it', async () => {
    const order = createRunSchema.parse({
      ...{ task: { ...TOY_TASK, metrics: ['auroc', 'rmse'] }, rounds: 1, cohort: { min: 3, max: 3, quorum: 3 } },
    })
    const made = await createRun(openMemoryBlobs(), 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId, order, null)
    expect(made).toMatchObject({ ok: false, where: { pointer: '/task/metrics' } })
    expect(made.where?.message).toMatch(/^rmse is not for two classes: auroc, /)
  })
})

describe('what a site counts', () => {
  const logits = [2, -1, 0, 0.5, -3, 1, 1, 1, 0, 4, -2, 6]
  const labels = [0, 2, 1, 0]

  test('is the same batch by batch, and beside accuracy as ever', () => {
    const asked = { ...ofClasses(3), metrics: CLASSES }
    const [whole, parted, plain] = [new Evaluation(asked), new Evaluation(asked), new Evaluation(ofClasses(3))]
    whole.add(logits, labels)
    plain.add(logits, labels)
    for (const row of labels.keys()) parted.add(logits.slice(3 * row, 3 * row + 3), [labels[row] as number])
    expect(parted.measured).toEqual(whole.measured)
    const { tallies, ...counted } = whole.measured
    expect(counted).toEqual(plain.measured)
    expect(tallies).toEqual(measured(classes(3), { given: logits, labels }).tallies)
  })

  test('of two classes is the same from two logits as from their difference', () => {
    const two = new Evaluation({ ...ofClasses(2), metrics: BINARY })
    const one = new Evaluation({ ...task, metrics: BINARY })
    for (const [row, z] of logits.entries()) {
      two.add([0.25, 0.25 + z], [row % 2])
      one.add([z], [row % 2])
    }
    expect(two.measured.tallies).toEqual(one.measured.tallies)
    expect(two.measured.correct).toBe(one.measured.correct)
  })

  test('goes where the task has it, in lanes that follow from the task alone', () => {
    expect(scoringOf(task).blocks).toEqual([])
    expect(scoringOf({ ...task, metrics: ['f1'] }).blocks.map(({ kind }) => kind)).toEqual(['probabilities'])
    const many = scoringOf({ ...ofClasses(5), metrics: ['auroc', 'calibration', 'brier'] })
    expect(many.blocks.map(({ kind }) => kind)).toEqual(['confusion', 'one-vs-rest', 'confidence', 'sum'])
  })
})
