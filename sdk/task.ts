import type { Architecture } from '#protocol/architecture.ts'
import { featuresOf } from '#protocol/features.ts'
import type { Layer } from '#protocol/layers.ts'
import { takesLogits } from '#protocol/logits.ts'
import type { Metric } from '#protocol/metrics.ts'
import type { Masking, Population } from '#protocol/plan.ts'
import type { Watched } from '#protocol/stop-rule.ts'
import type { Card, DataContract, Loss, Optimiser, StrategySpec } from '#protocol/task.ts'
import { micro, nano, TaskError } from './real.ts'

/** What `POST /v1/runs` takes: plain JSON. Of the task whole numbers only, since it is signed. */
export type CreateRun = {
  /** Whole, or one that is kept at the coordinator. */
  readonly task: NewTask | { readonly cid: string }
} & Terms & { readonly cohort: Cohort & { readonly quorum: number } }

/** What `POST /v1/tasks` takes. */
export type NewTask = {
  readonly name: string
  readonly seed: string
  readonly architecture: Architecture
  readonly weights?: string
  readonly data: DataContract
  readonly loss: Loss
  readonly optimiser: Optimiser
  readonly epochs: number
  readonly batchSize: number
  readonly clipNormMicro?: number
  readonly movingRangeMicro?: number
  readonly gradientNormMicro?: number
  readonly proximalMicro?: number
  readonly strategy?: StrategySpec
  readonly publicData?: PublicData
  readonly metrics?: readonly Metric[]
  readonly card?: Card
}

type PublicData =
  | { readonly kind: 'idx'; readonly images: string; readonly labels: string }
  | { readonly kind: 'csv'; readonly table: string }

export type Cohort = {
  /** Fewest and most sites in a round; a quarter or what else may be lost is `min` − `quorum`. */
  readonly min: number
  readonly max: number
  readonly operatorSeatsMax?: number
  readonly paced?: boolean
}

type PhaseMillis =
  | 'selectionMillis'
  | 'keysMillis'
  | 'reportingMillis'
  | 'consistencyMillis'
  | 'unmaskingMillis'
  | 'aggregationMillis'
  | 'settlementMillis'

/** How the task is run. */
export type Terms = {
  /** Training rounds that are to close. */
  readonly rounds: number
  /** Micro-credits, as decimal text. */
  readonly budget?: string
  readonly population?: Population
  /** Whose members alone are invited. */
  readonly federation?: string | null
  readonly masking?: Masking
  readonly secure?: { readonly suite?: 1 | 2; readonly corrupt?: number; readonly publish?: 'full' | 'commit-only' }
  readonly timing?: Partial<Record<PhaseMillis, number>> & {
    readonly stragglerMillis?: number | null
    readonly learned?: boolean
  }
  readonly failuresMax?: number
  readonly onFailures?: 'pause' | 'end'
  readonly stopWhen?: StopWhen
  /** A closed round of another run, whose model this one starts from instead of `weights` or the seed. */
  readonly fork?: { readonly run: string; readonly round: number }
}

/** When it has trained enough, though not all its rounds: no better for so many of them, or as good as this. */
export type StopWhen =
  | { readonly metric: Watched; readonly patience: number; readonly minDelta?: number }
  | { readonly metric: Watched; readonly atLeast: number }
  | { readonly metric: Watched; readonly atMost: number }

export type TaskDefinition = Terms & {
  readonly name: string
  /** Root of all public randomness: 32 bytes in hexadecimal, or a number. 1 unless told otherwise. */
  readonly seed?: string | number
  /** Layers on top of the data, or a whole architecture with its input, as `kerasModel` makes one. */
  readonly model: readonly Layer[] | Architecture
  readonly data: DataContract
  readonly loss: Loss
  readonly metrics?: readonly Metric[]
  readonly local: {
    readonly epochs: number
    readonly batch: number
    readonly optimizer: Optimiser
    /** L2 bound of a site's update; 10 unless told otherwise. */
    readonly clipNorm?: number
    /** How far each moving statistic may move in a round; as far as `clipNorm` unless told otherwise. */
    readonly movingRange?: number
    /** The most that all gradients of a step measure together. */
    readonly gradientNorm?: number
    /** μ of FedProx. */
    readonly proximal?: number
  }
  readonly server?: StrategySpec
  /** CID of a file of weights to start from, as `keepFile` answers it. */
  readonly weights?: string
  readonly publicData?: PublicData
  /** What its author says of the model that comes of it. */
  readonly card?: Card
} & Placed

/** `quorum`: reports without which a round comes to nothing; `min` unless told otherwise. */
type Placed = { readonly cohort: Cohort & { readonly quorum?: number } }

/**
 * A task as data, from numbers as people say them. What the protocol cannot say exactly is refused here ({@link TaskError});
 * whether layers, data and loss fit one another is for the coordinator, which knows all rules: `runs.dryRun` asks it.
 */
export function defineTask(definition: TaskDefinition): CreateRun & { readonly task: NewTask } {
  const { name, seed = 1, model, data, loss, metrics, local, server, weights, publicData, card, ...terms } = definition
  const { epochs, batch, optimizer, clipNorm, movingRange, gradientNorm, proximal } = local
  const architecture: Architecture =
    'layers' in model ? model : { v: 1, input: [...featuresOf(data)], layers: [...model] }
  refuseSquashed(architecture, loss)
  return {
    task: {
      name,
      seed: seedOf(seed),
      architecture,
      ...(weights !== undefined && { weights }),
      data,
      loss,
      optimiser: optimizer,
      ...(gradientNorm !== undefined && { gradientNormMicro: micro(gradientNorm, 'a norm') }),
      ...(proximal !== undefined && { proximalMicro: micro(proximal, 'a proximal term') }),
      epochs,
      batchSize: batch,
      ...(clipNorm !== undefined && { clipNormMicro: micro(clipNorm, 'a norm') }),
      ...(movingRange !== undefined && { movingRangeMicro: micro(movingRange, 'a range') }),
      ...(server && { strategy: server }),
      ...(publicData && { publicData }),
      ...(metrics && { metrics }),
      ...(card && { card }),
    },
    ...placed(terms),
  }
}

/** A run of a task that is kept at the coordinator, by its CID: one that was posted, or that another run was of. */
export function keptTask(cid: string, terms: Terms & Placed): CreateRun {
  return { task: { cid }, ...placed(terms) }
}

function placed({ cohort, ...terms }: Terms & Placed): Omit<CreateRun, 'task'> {
  return { ...terms, cohort: { ...cohort, quorum: cohort.quorum ?? cohort.min } }
}

/** Stochastic gradient descent. */
export function sgd(
  rate: number,
  { momentum = 0, nesterov }: { readonly momentum?: number; readonly nesterov?: true } = {},
): Optimiser {
  const units = { rateMicro: micro(rate, 'a learning rate'), momentumMicro: micro(momentum, 'a momentum') }
  return { kind: 'sgd', ...units, ...(nesterov && { nesterov }) }
}

type Moments = { readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number }

export function adam(rate = 1e-3, moments: Moments = {}): Optimiser {
  return { kind: 'adam', ...momentsOf(rate, moments) }
}

export function adamW(
  rate: number,
  { weightDecay, ...moments }: Moments & { readonly weightDecay: number },
): Optimiser {
  return { kind: 'adamw', ...momentsOf(rate, moments), weightDecayMicro: micro(weightDecay, 'a weight decay') }
}

function momentsOf(rate: number, { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 }: Moments) {
  return {
    rateMicro: micro(rate, 'a learning rate'),
    beta1Micro: micro(beta1, 'beta1'),
    beta2Micro: micro(beta2, 'beta2'),
    epsilonNano: nano(epsilon, 'an epsilon'),
  }
}

export function rmsprop(
  rate = 1e-3,
  {
    discount = 0.9,
    momentum = 0,
    epsilon = 1e-7,
    centred,
  }: {
    readonly discount?: number
    readonly momentum?: number
    readonly epsilon?: number
    readonly centred?: true
  } = {},
): Optimiser {
  return {
    kind: 'rmsprop',
    rateMicro: micro(rate, 'a learning rate'),
    discountMicro: micro(discount, 'a discount'),
    momentumMicro: micro(momentum, 'a momentum'),
    epsilonNano: nano(epsilon, 'an epsilon'),
    ...(centred && { centred }),
  }
}

/** The weighted mean of what sites learned, times this. */
export function fedAvg(rate = 1): StrategySpec {
  return { kind: 'fedavg', rateMicro: micro(rate, 'a server rate') }
}

function refuseSquashed({ layers }: Architecture, loss: Loss): void {
  const last = layers.at(-1)
  const squashes = last && 'activation' in last && (last.activation === 'softmax' || last.activation === 'sigmoid')
  if (squashes && takesLogits(loss))
    throw new TaskError(`${loss} takes logits: leave the ${last.activation} of the last layer, ${last.name}, out`)
}

function seedOf(seed: string | number): string {
  if (typeof seed === 'string' && /^[0-9a-f]{64}$/.test(seed)) return seed
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return seed.toString(16).padStart(64, '0')
  throw new TaskError('a seed is a whole number, or 64 hexadecimal digits')
}
