import { scoringOf } from '#aggregation/metrics/scoring.ts'
import { LOSS_MAX_NATS } from '#protocol/limits.ts'
import { type LocalUpdate, TrainingRefused } from '#protocol/ports.ts'
import { positivesOf, type Task } from '#protocol/task.ts'
import { scoreRows } from './loss.ts'
import { scorerOf } from './scores.ts'

/** The incoming model on held-out rows, batch by batch: what evaluation lanes and score lanes are made of. */
export class Evaluation {
  readonly #task: Task
  readonly #positives: readonly number[] | undefined
  readonly #scorer: ReturnType<typeof scorerOf> | undefined
  #rows = 0
  #correct = 0
  #lossSumNats = 0

  constructor(task: Task) {
    this.#task = task
    this.#positives = positivesOf(task.data)
    this.#scorer = task.metrics && scorerOf(scoringOf(task))
  }

  add(outputs: ArrayLike<number>, labels: ArrayLike<number>): void {
    const scored = scoreRows(this.#task.loss, outputs, labels, this.#positives)
    for (const loss of scored.losses) {
      if (Number.isNaN(loss)) throw new TrainingRefused('not-finite', 'the incoming model on held-out rows')
      this.#lossSumNats += Math.min(loss, LOSS_MAX_NATS)
    }
    this.#correct += scored.correct
    this.#rows += scored.losses.length
    this.#scorer?.add(outputs, labels)
  }

  get measured(): LocalUpdate['evaluation'] {
    const [rows, correct, lossSumNats] = [this.#rows, this.#correct, this.#lossSumNats]
    return { rows, correct, lossSumNats, ...(this.#scorer && { tallies: this.#scorer.tallies }) }
  }
}
