import { edgesOf, FINE } from '#aggregation/metrics/bins.ts'
import { figuresOf } from '#aggregation/metrics/figures.ts'
import { encodeScores } from '#aggregation/metrics/lanes.ts'
import { type Scoring, scoringFor, type Tallies } from '#aggregation/metrics/scoring.ts'
import { EQUAL_ROWS, equalEvaluation, type Measured } from '#aggregation/quantise.ts'
import { scoreRows } from '#client/trainers/loss.ts'
import { scorerOf } from '#client/trainers/scores.ts'

const metrics = ['auroc', 'auprc', 'f1', 'calibration', 'brier'] as const

/** Logits of a model of one output; the second site has one exactly between its classes, and one far out. */
const sites = [
  { logits: [-2, -0.5, 0.25, 1.5, 3, 0.75, -1], labels: [0, 0, 1, 1, 1, 0, 0] },
  { logits: [0, -20, 0.3125, -6], labels: [1, 0, 1, 1] },
] as const

/** Edges of the bins, two sites' score lanes and their figures, as counted and as sites that count alike. */
export function scoresVector() {
  const scoring = scoringFor(metrics, { kind: 'binary' })
  const edges = edgesOf(FINE)
  const plain = sites.map(({ logits, labels }) => {
    const correct = logits.filter((z, row) => Number(z > 0) === labels[row]).length
    return { rows: labels.length, correct, lossSumNats: 0, tallies: talliesOf(scoring, logits, labels) }
  })
  return {
    metrics,
    edges: Object.fromEntries([1, 2, 9, 72, 73, 128, 184, 185, 255].map((bin) => [bin, edges[bin] as number])),
    sites,
    ...countedBothWays(scoring, plain),
  }
}

const several = {
  metrics: ['auroc', 'sensitivity', 'brier'],
  positivesMicro: [1_000_000, 2_000_000],
} as const
/** Logits and labels of two, row after row; null where nobody knows. */
const labelled = [
  {
    logits: [2, 0.5, -2, 3, 1, 0.25, -1, -3],
    labels: [1, null, 0, 1, 0, null, 1, 0],
  },
  { logits: [0.5, -0.5, -1.5, 1, -0.25, 2], labels: [1, 1, 0, 0, 0, 1] },
] as const

/** The same of several labels, with each site's rows right and loss. */
export function labelsVector() {
  const { metrics, positivesMicro } = several
  const scoring = scoringFor(metrics, { kind: 'labels', labels: positivesMicro.length })
  const positives = positivesMicro.map((micro) => micro / 1_000_000)
  const plain = labelled.map(({ logits, labels }) => {
    const known = labels.map((label) => label ?? Number.NaN)
    const { losses, correct } = scoreRows('sigmoid-cross-entropy', logits, known, positives)
    const lossSumNats = losses.reduce((sum, loss) => sum + loss, 0)
    return { rows: losses.length, correct, lossSumNats, tallies: talliesOf(scoring, logits, known) }
  })
  const measured = plain.map(({ rows, correct, lossSumNats }) => ({
    ...{ rows, correct, lossQ16: Math.round(lossSumNats * 65_536) },
  }))
  return { ...several, sites: labelled, measured, ...countedBothWays(scoring, plain) }
}

function talliesOf(scoring: Scoring, logits: ArrayLike<number>, labels: ArrayLike<number>): Tallies {
  const scorer = scorerOf(scoring)
  scorer.add(logits, labels)
  return scorer.tallies
}

/** Each site's score lanes, their sum and its figures: as counted, and as sites that count alike. */
function countedBothWays(scoring: Scoring, plain: readonly Measured[]) {
  const equal = plain.map((site) => equalEvaluation(site, scoring))
  const summed = (all: readonly { readonly rows: number; readonly tallies?: Tallies }[]) => {
    const vectors = all.map(({ tallies = [] }) => encodeScores(scoring, tallies))
    const sum = vectors.reduce((before, lanes) => before.map((lane, at) => lane + (lanes[at] as number)))
    const rows = all.reduce((total, one) => total + one.rows, 0)
    return { vectors: vectors.map(filled), sum: filled(sum), figures: figuresOf(scoring, sum, rows) }
  }
  return { plain: summed(plain), equalRows: EQUAL_ROWS, masked: summed(equal) }
}

/** Score lanes that are not zero, by their place. */
function filled(lanes: Uint32Array): Readonly<Record<number, number>> {
  return Object.fromEntries([...lanes.entries()].filter(([, lane]) => lane !== 0))
}
