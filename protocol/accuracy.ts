import type { Evaluation } from './manifest.ts'
import type { Question } from './question.ts'
import type { Task } from './task.ts'

/** What a run is about, as far as it says what is predicted of a row. */
export type Predicting = Pick<Task, 'data'> | Question

/**
 * What part of the rows a model was right about. Null where none was tested, and where labels are numbers, of which no row is
 * right or wrong: records count 0 of them as right.
 */
export function accuracyOf(about: Predicting, { rows, correct }: Pick<Evaluation, 'rows' | 'correct'>): number | null {
  return rows === 0 || isOfNumbers(about) ? null : correct / rows
}

export function isOfNumbers(about: Predicting): boolean {
  return 'data' in about && about.data.kind !== 'image' && about.data.label.rule === 'number'
}

/** Nats per row, or what else the task's loss is in; of no rows it is not a number. */
export function lossOf({ rows, lossQ16 }: Pick<Evaluation, 'rows' | 'lossQ16'>): number {
  return lossQ16 / 65_536 / rows
}
