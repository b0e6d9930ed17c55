/** What a training step does to every number alike: each kernel goes once over memory. */

/** out = dy where y > 0, else 0: where a ReLU's output is above zero its input was too. */
export function reluGradient(dy: usize, y: usize, out: usize, count: usize): void {
  const end = out + (count << 2)
  const zero = f32x4.splat(0)
  for (; out + 16 <= end; out += 16, dy += 16, y += 16) {
    v128.store(out, v128.and(v128.load(dy), f32x4.gt(v128.load(y), zero)))
  }
  for (; out < end; out += 4, dy += 4, y += 4) store<f32>(out, load<f32>(y) > 0 ? load<f32>(dy) : 0)
}

/** velocity ← momentum · velocity + gradient; weight ← weight − rate · velocity. */
export function momentumStep(
  weights: usize,
  gradient: usize,
  velocity: usize,
  newWeights: usize,
  newVelocity: usize,
  count: usize,
  rate: f32,
  momentum: f32,
): void {
  const end = weights + (count << 2)
  const rates = f32x4.splat(rate)
  const momenta = f32x4.splat(momentum)
  for (; weights + 16 <= end; weights += 16) {
    const next = f32x4.add(f32x4.mul(v128.load(velocity), momenta), v128.load(gradient))
    v128.store(newVelocity, next)
    v128.store(newWeights, f32x4.sub(v128.load(weights), f32x4.mul(next, rates)))
    gradient += 16
    velocity += 16
    newWeights += 16
    newVelocity += 16
  }
  for (; weights < end; weights += 4) {
    const next = load<f32>(velocity) * momentum + load<f32>(gradient)
    store<f32>(newVelocity, next)
    store<f32>(newWeights, load<f32>(weights) - next * rate)
    gradient += 4
    velocity += 4
    newWeights += 4
    newVelocity += 4
  }
}

/**
 * mean ← mean + (1 − β₁)(gradient − mean); square ← square + (1 − β₂)(gradient² − square);
 * weight ← (1 − decay) · weight − rate · meanScale · mean ÷ (√(squareScale · square) + ε): Kingma and Ba 2015, algorithm 1,
 * with its corrections as `meanScale` and `squareScale`, and the decay of Loshchilov and Hutter 2019, algorithm 2.
 */
export function adamStep(
  weights: usize,
  gradient: usize,
  mean: usize,
  square: usize,
  newWeights: usize,
  newMean: usize,
  newSquare: usize,
  count: usize,
  rate: f32,
  meanShare: f32,
  squareShare: f32,
  squareScale: f32,
  epsilon: f32,
  decay: f32,
): void {
  const end = weights + (count << 2)
  const keep: f32 = <f32>1 - decay
  for (; weights + 16 <= end; weights += 16) {
    const g = v128.load(gradient)
    const m = v128.load(mean)
    const s = v128.load(square)
    const nextM = f32x4.add(m, f32x4.mul(f32x4.splat(meanShare), f32x4.sub(g, m)))
    const nextS = f32x4.add(s, f32x4.mul(f32x4.splat(squareShare), f32x4.sub(f32x4.mul(g, g), s)))
    v128.store(newMean, nextM)
    v128.store(newSquare, nextS)
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(nextS, f32x4.splat(squareScale))), f32x4.splat(epsilon))
    const move = f32x4.div(f32x4.mul(nextM, f32x4.splat(rate)), root)
    v128.store(newWeights, f32x4.sub(f32x4.mul(v128.load(weights), f32x4.splat(keep)), move))
    gradient += 16
    mean += 16
    square += 16
    newWeights += 16
    newMean += 16
    newSquare += 16
  }
  for (; weights < end; weights += 4) {
    const g = load<f32>(gradient)
    const m = load<f32>(mean)
    const s = load<f32>(square)
    const nextM = m + meanShare * (g - m)
    const nextS = s + squareShare * (g * g - s)
    store<f32>(newMean, nextM)
    store<f32>(newSquare, nextS)
    const root = Mathf.sqrt(nextS * squareScale) + epsilon
    store<f32>(newWeights, load<f32>(weights) * keep - (nextM * rate) / root)
    gradient += 4
    mean += 4
    square += 4
    newWeights += 4
    newMean += 4
    newSquare += 4
  }
}

/**
 * Σ over rows of −Σ targets · log softmax(logits), and its gradient, softmax(logits) − targets, in one pass. The sum is kept in
 * float64.
 */
export function softmaxLoss(
  logits: usize,
  targets: usize,
  sum: usize,
  gradient: usize,
  rows: usize,
  classes: usize,
): void {
  const rowBytes = classes << 2
  let nats: f64 = 0
  for (let row: usize = 0; row < rows; row++) {
    let top: f32 = -Infinity
    for (let at: usize = 0; at < rowBytes; at += 4) top = max(top, load<f32>(logits + at))
    let total: f32 = 0
    for (let at: usize = 0; at < rowBytes; at += 4) {
      const power = Mathf.exp(load<f32>(logits + at) - top)
      store<f32>(gradient + at, power)
      total += power
    }
    const logTotal = Mathf.log(total)
    for (let at: usize = 0; at < rowBytes; at += 4) {
      const target = load<f32>(targets + at)
      if (target !== 0) nats += <f64>(target * (logTotal - (load<f32>(logits + at) - top)))
      store<f32>(gradient + at, load<f32>(gradient + at) / total - target)
    }
    logits += rowBytes
    targets += rowBytes
    gradient += rowBytes
  }
  store<f32>(sum, <f32>nats)
}
