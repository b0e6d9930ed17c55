import type { LocalUpdate, TrainingTask, TrainProgress } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import type { Result } from '#protocol/result.ts'
import type { Tallied, TallyRefusal } from '../asking.ts'
import type { Brought, DataSource, SharedRows } from '../data/dataset.ts'
import type { Measured, Measurement } from '../measuring.ts'
import type { BackendChoice, BackendName, Loss, OpenBackend } from './backends/choice.ts'
import type { Governor } from './governor.ts'

/** What the trainer tells its worker when it starts. The data is opened there, and no message carries any of it back. */
export type Opening = {
  readonly data: DataSource | SharedRows
  readonly backend: BackendChoice
  /** Backends that were lost before. */
  readonly without: readonly BackendName[]
}

/** One at a time, each followed by any progress and one other reply, or by the loss of the backend. */
export type Request = Fit | Measure | { readonly kind: 'tally'; readonly question: Question }
/** At any time: the thread leaves its GPU in order and exits. Dawn ends the whole process with a thread that waits for one. */
export type End = { readonly kind: 'end' }
export type Fit = {
  readonly kind: 'fit'
  readonly model: Float32Array
  readonly task: TrainingTask
  /** Another site's data than the thread was opened with: one thread may serve the many sites of a simulation. */
  readonly data?: DataSource | Brought
  /** What governs it: a message would wait until the worker is idle. */
  readonly words: Governor['words']
}

export type Measure = Pick<Fit, 'words'> & { readonly kind: 'measure'; readonly measurement: Measurement }

/** What the sizes of its tensors follow from, but for its last batches; undefined where it has none. */
export function shapeOf(request: Request | Omit<Fit, 'words'> | Omit<Measure, 'words'>): string | undefined {
  switch (request.kind) {
    case 'fit':
      return JSON.stringify([request.task.task.batchSize, request.task.architecture])
    case 'measure':
      return request.measurement.model
    case 'tally':
      return undefined
  }
}

export type Reply =
  | { readonly kind: 'open'; readonly backend: OpenBackend }
  /** At any time, and the last word: what the thread computes from then on may be wrong. */
  | ({ readonly kind: 'lost' } & Loss)
  | { readonly kind: 'progress'; readonly at: TrainProgress }
  | { readonly kind: 'fitted'; readonly update: LocalUpdate }
  | { readonly kind: 'measured'; readonly measured: Measured }
  | { readonly kind: 'tallied'; readonly tallied: Result<Tallied, TallyRefusal> }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'refused'; readonly reason: string; readonly detail: string }
  /** Something of the world, such as a file that cannot be read. The thread is as good as before. */
  | { readonly kind: 'failed'; readonly message: string }
  /** The last word: what the thread computes with may be in any state, as after memory that could not be had. */
  | { readonly kind: 'broken'; readonly message: string }
