import { assert } from '#protocol/assert.ts'
import type { TrainProgress } from '#protocol/ports.ts'
import type { Result } from '#protocol/result.ts'
import { answer, type Statistician } from './asking.ts'
import type { Seat } from './seat.ts'
import type { Trained } from './submission.ts'
import { type TrainingDoors, train } from './training.ts'

export type WorkDoors = TrainingDoors & { readonly statistician?: Statistician | undefined }

/** What a seat owes to its round's sum: an update, or the answer to a question. */
export function work(
  doors: WorkDoors,
  { assignment, inputKey, stop }: Seat,
  progress: (at: TrainProgress) => void,
): Promise<Result<Trained>> {
  if (assignment.kind === 'training') return train(doors, assignment, stop.signal, progress)
  assert(doors.statistician, 'only a node that answers questions joins for one')
  return answer(doors.statistician, assignment, inputKey)
}
