/** Float32 rounds each coordinate by at most 2^-24 of it: this much less, and the clipped delta is surely within. */
const MARGIN = 1 - 2 ** -23

/**
 * The delta itself when its L2 norm is at most `clipNorm`, else a copy scaled down to it. A delta with NaN or infinity in
 * it stays so: quantising refuses it.
 */
export function clip(delta: Float32Array, clipNorm: number): Float32Array {
  const norm = normOf(delta)
  if (!(norm > clipNorm)) return delta
  const scale = (clipNorm / norm) * MARGIN
  return delta.map((coordinate) => coordinate * scale)
}

/** Each value where it is within ±`range`, else the largest float32 step within; NaN and infinity stay, as above. */
export function clamp(values: Float32Array, range: number): Float32Array {
  const furthest = Math.fround(range * MARGIN)
  return values.map((value) =>
    Math.abs(value) > range && Number.isFinite(value) ? Math.sign(value) * furthest : value,
  )
}

/** L2, in float64, from the first coordinate to the last. Finite exactly when every coordinate is. */
export function normOf(vector: Float32Array): number {
  let squares = 0
  for (let i = 0; i < vector.length; i++) {
    const coordinate = vector[i] as number
    squares += coordinate * coordinate
  }
  return Math.sqrt(squares)
}
