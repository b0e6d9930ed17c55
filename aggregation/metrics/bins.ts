import { assert } from '#protocol/assert.ts'

/**
 * Bins of a probability. From 1/16 to 15/16 they are as wide as each other; beyond, each halving of what is left (to 0, or to
 * 1) has as many bins as the last, nine halvings far. So a rare outcome, whose probabilities are all small, is ranked as
 * finely as a common one, and yet sixteen equal groups, as calibration is told in, are made of whole bins. Every edge is a
 * binary fraction: edges and middles are exact in float64.
 *
 * @property perOctave s: bins of each halving; the equal ones are 1/(16·s) wide, and there are 32·s in all
 */
export type Bins = { readonly perOctave: number }

/** 256, for the one probability of two classes and for how sure a model of many is: none is wider than 1/128. */
export const FINE: Bins = { perOctave: 8 }
/** 64, for each class of many: none is wider than 1/32. */
export const COARSE: Bins = { perOctave: 2 }

const OCTAVES = 9
/** From here on to a half the bins are equal. */
const EQUAL_FROM = 1 / 16

export function countOf({ perOctave }: Bins): number {
  return 32 * perOctave
}

/**
 * The bin of a probability p, counted from the least. It is told by the smaller of p and 1 − p, which keeps its digits where
 * the other has lost them, and by which of the two it is: p on the side of a model's no has p ≤ 1/2. A bin holds its edge
 * towards a half.
 *
 * @param rest min(p, 1 − p), 0 to 1/2
 */
export function binOf(bins: Bins, rest: number, isYes: boolean): number {
  assert(rest >= 0 && rest <= 0.5, 'the less likely of two is no more than a half')
  const place = placeOf(bins, rest)
  return isYes ? countOf(bins) - 1 - place : place
}

/** Each operation is exact: of binary fractions, by powers of two, with nothing to round. */
function placeOf({ perOctave }: Bins, rest: number): number {
  if (rest > EQUAL_FROM) return OCTAVES * perOctave + Math.ceil((rest - EQUAL_FROM) * 16 * perOctave) - 1
  for (let octave = OCTAVES - 1, least = EQUAL_FROM / 2; octave >= 0; octave--, least /= 2)
    if (rest > least) return octave * perOctave + Math.ceil((rest / least - 1) * perOctave) - 1
  return 0
}

/** Lower edges, ascending, and 1 at the end. */
export function edgesOf(bins: Bins): Float64Array {
  const half = countOf(bins) / 2
  const below = Float64Array.from({ length: half + 1 }, (_, place) => edgeOf(bins, place))
  return Float64Array.from({ length: 2 * half + 1 }, (_, bin) =>
    bin <= half ? (below[bin] as number) : 1 - (below[2 * half - bin] as number),
  )
}

function edgeOf({ perOctave }: Bins, place: number): number {
  if (place === 0) return 0
  const octave = Math.floor(place / perOctave)
  if (octave >= OCTAVES) return EQUAL_FROM + (place - OCTAVES * perOctave) / (16 * perOctave)
  return (EQUAL_FROM / 2 ** (OCTAVES - octave)) * (1 + (place % perOctave) / perOctave)
}
