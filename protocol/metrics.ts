import { z } from 'zod'
import { count } from './codec.ts'
import { LABELS_MAX, SCORED_CLASSES_MAX } from './limits.ts'

/**
 * Figures that a task asks for beside accuracy and loss. Each is worked out from sums over all sites' held-out rows, so a task
 * that names one has lanes more in its vectors (`aggregation/metrics`).
 */
const METRICS = [
  'auroc',
  'auprc',
  'f1',
  'sensitivity',
  'specificity',
  'balanced-accuracy',
  'calibration',
  'brier',
  'mae',
  'rmse',
  'r2',
] as const

export const metricField = z.enum(METRICS)
export type Metric = z.output<typeof metricField>

/** In one order, so that one wish has one encoding; a task that asks for none leaves the field out. */
export const metricsField = z
  .array(metricField)
  .min(1)
  .max(METRICS.length)
  .readonly()
  .refine((names) => inOrder(names, METRICS), `each once, in this order: ${METRICS.join(', ')}`)

/** What a model of a task says of a row. */
export type Predicted =
  | { readonly kind: 'binary' }
  | { readonly kind: 'classes'; readonly classes: number }
  /** Each is there or not, by itself. */
  | { readonly kind: 'labels'; readonly labels: number }
  /** Errors are counted in units of the label, which is this many millionths of what its column has. */
  | { readonly kind: 'number'; readonly unitMicro: number }

const BINARY: readonly Metric[] = [
  ...(['auroc', 'auprc', 'f1', 'sensitivity', 'specificity', 'balanced-accuracy', 'calibration', 'brier'] as const),
]
const FITTING: Readonly<Record<Predicted['kind'], readonly Metric[]>> = {
  binary: BINARY,
  labels: BINARY,
  classes: ['auroc', 'auprc', 'f1', 'balanced-accuracy', 'calibration', 'brier'],
  number: ['mae', 'rmse', 'r2'],
}

const NOUNS: Readonly<Record<Predicted['kind'], string>> = {
  ...{ binary: 'two classes', classes: 'more than two classes', labels: 'several labels', number: 'a number' },
}

/** How to mend it; undefined where each of the metrics can be had of such predictions. */
export function mistakeInMetrics(metrics: readonly Metric[], predicted: Predicted): string | undefined {
  const what = NOUNS[predicted.kind]
  const fitting = FITTING[predicted.kind]
  const stray = metrics.find((metric) => !fitting.includes(metric))
  if (stray) return `${stray} is not for ${what}: ${fitting.join(', ')} are`
  if (predicted.kind === 'classes' && predicted.classes > SCORED_CLASSES_MAX)
    return `metrics are for at most ${SCORED_CLASSES_MAX} classes, and there are ${predicted.classes}: leave them out`
  return undefined
}

const FIGURES = [
  'auroc',
  'auprc',
  'f1',
  'f1-best',
  'f1-best-threshold',
  'sensitivity',
  'specificity',
  'balanced-accuracy',
  'calibration-error',
  'brier',
  'mae',
  'rmse',
  'r2',
] as const

export const figureField = z.enum(FIGURES)

/** Null where it is not defined: no row was tested, or none of a class that it asks about. */
const micro = z.int().nullable()
/** How far the figure of the rows themselves can be from that of the bins which they were counted in. */
const withinMicro = count(Number.MAX_SAFE_INTEGER)

/** In millionths, since nothing that is signed holds floats. */
const figureSchema = z.strictObject({
  name: figureField,
  micro,
  withinMicro,
  /** Of several labels: `micro` and `withinMicro` of each, of which the figure itself is the mean. */
  byLabel: z
    .array(z.tuple([micro, withinMicro]).readonly())
    .min(2)
    .max(LABELS_MAX)
    .readonly()
    .optional(),
})

export const figuresField = z
  .array(figureSchema)
  .min(1)
  .max(FIGURES.length)
  .readonly()
  .refine(
    (figures) =>
      inOrder(
        figures.map(({ name }) => name),
        FIGURES,
      ),
    'each once, in order',
  )

export type Figure = z.output<typeof figureSchema>
export type FigureName = Figure['name']

/** As people and programs read it: in reals. */
export function shown({ name, byLabel, ...figure }: Figure) {
  const each = byLabel?.map(([micro, withinMicro]) => inReals({ micro, withinMicro }))
  return { name, ...inReals(figure), ...(each && { by_label: each }) }
}

function inReals({ micro, withinMicro }: Pick<Figure, 'micro' | 'withinMicro'>) {
  return { value: micro === null ? null : micro / 1_000_000, within: withinMicro / 1_000_000 }
}

function inOrder<T>(names: readonly T[], all: readonly T[]): boolean {
  return names.every((name, index) => index === 0 || all.indexOf(names[index - 1] as T) < all.indexOf(name))
}
