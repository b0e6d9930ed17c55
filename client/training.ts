import { type Scoring, scoringOf } from '#aggregation/metrics/scoring.ts'
import { bound, equalEvaluation, evaluationRowsMax, NOTHING_MEASURED, quantise } from '#aggregation/quantise.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import type { Bytes } from '#protocol/ids.ts'
import type { LocalUpdate, TrainerBackend, TrainProgress } from '#protocol/ports.ts'
import { accept, type Result } from '#protocol/result.ts'
import { holdoutSeed, quantiseSeed, shuffleSeed } from '#protocol/seeds.ts'
import { payloadOf, type Training } from './assignment.ts'
import type { Trained } from './submission.ts'

export type TrainingDoors = {
  readonly trainer: TrainerBackend
  /** 32 bytes, the root of the node's private randomness. */
  readonly secret: Bytes
  readonly withholdsEvaluation: boolean
}

/** Trains as the plan says, and rounds what came out to the lanes of a vector. The data stay behind the trainer's door. */
export async function train(
  { trainer, secret, withholdsEvaluation }: TrainingDoors,
  training: Training,
  signal: AbortSignal,
  progress: (at: TrainProgress) => void,
): Promise<Result<Trained>> {
  const { plan, task, architecture, model } = training
  const weights = await model.read(signal)
  if (!weights.ok) return weights
  const { quantiser, round } = plan
  const purpose = plan.purpose === 'evaluate' ? 'evaluate' : 'train'
  const update = await trainer.fit(
    weights.value,
    {
      task,
      architecture,
      purpose,
      shuffleSeed: shuffleSeed(secret, plan.task, round),
      holdoutSeed: holdoutSeed(secret, plan.task),
      evaluationRowsMax: evaluationRowsMax(quantiser),
    },
    signal,
    progress,
  )
  const scores = scoringOf(task)
  const counted = plan.secure === null ? asCounted(update, purpose) : asEqual(update, withholdsEvaluation, scores)
  const { moving } = payloadOf(training)
  const lanes = quantise(
    { delta: bound(update.delta, quantiser, moving), ...counted },
    quantiser,
    uint32Stream(quantiseSeed(secret, plan.task, round)),
    scores,
    moving,
  )
  return lanes.ok ? accept({ lanes: lanes.value, trainMillis: Math.round(update.trainMillis) }) : lanes
}

type Counted = Pick<LocalUpdate, 'evaluation'> & { readonly weight: number }

/** Nothing was trained on in an evaluate round; a report weighs at least 1 all the same. */
function asCounted({ examples, evaluation }: LocalUpdate, purpose: 'train' | 'evaluate'): Counted {
  return { weight: purpose === 'train' ? examples : 1, evaluation }
}

/** Under masks each site counts alike: sums over rounds would give hidden counts away (R9). */
function asEqual({ evaluation }: LocalUpdate, withheld: boolean, scores: Scoring): Counted {
  return { weight: 1, evaluation: withheld ? NOTHING_MEASURED : equalEvaluation(evaluation, scores) }
}
