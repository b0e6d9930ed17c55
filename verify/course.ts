import { totalOf } from '#payments/allocate.ts'
import { plannedAt } from '#protocol/extension.ts'
import type { Round } from '#protocol/ids.ts'
import type { Evaluation, RunManifest } from '#protocol/manifest.ts'
import type { Purpose } from '#protocol/plan.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { NOTHING_SHOWN, type Shown, show } from '#protocol/stop-rule.ts'
import type { Order } from './run.ts'

/** How far a run has come with the rounds that were looked at, by its order, its extensions and its stop rule alone. */
export type Course = {
  readonly trained: number
  readonly isDone: boolean
  /** Why it was done before all planned rounds had trained. */
  readonly reason: string | null
  /** Of the present model, where an evaluate round has closed since it was made. */
  readonly evaluation: Evaluation | null
  readonly shown: Shown
}

export const BEGINNING: Course = { trained: 0, isDone: false, reason: null, evaluation: null, shown: NOTHING_SHOWN }

/** Rounds train until those that were planned when they opened have closed, or enough have, and then evaluate; a question's all ask. */
export function purposeIn({ kind, run }: Order<RunManifest>, { trained, shown }: Course, round: Round): Purpose {
  if (kind === 'asking') return 'ask'
  const isTrained = shown.met !== null || trained >= plannedAt(run.planned, run.extensions ?? [], round)
  return isTrained ? 'evaluate' : 'train'
}

/** The course after a round that closed. */
export function courseAfter(
  { kind, run }: Order<RunManifest>,
  course: Course,
  { purpose, evaluation }: { readonly purpose: Purpose; readonly evaluation: Evaluation },
): Course {
  if (kind === 'asking') return { ...course, isDone: true }
  if (purpose === 'train') {
    const shown = run.stopWhen ? show(run.stopWhen, course.shown, evaluation) : course.shown
    return { ...course, trained: course.trained + 1, evaluation: null, shown }
  }
  const isPlannedOut = course.trained >= totalOf(run).rounds
  const isDone = isPlannedOut || course.shown.met !== null
  return { ...course, evaluation, isDone, reason: isPlannedOut ? null : course.shown.met }
}

/** Extensions are in the order in which they were made, each from a round that the run had, or was about to have. */
export function checkExtensions({ extensions = [], rounds }: RunManifest): Result<undefined, 'run-manifest'> {
  const stray = extensions.findIndex(
    ({ from }, index) => from < (extensions[index - 1]?.from ?? 1) || from > rounds.length + 1,
  )
  return stray < 0 ? accept(undefined) : refuse('run-manifest', `extension ${stray + 1} is from no round of its own`)
}
