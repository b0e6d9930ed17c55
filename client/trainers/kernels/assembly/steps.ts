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

/** velocity ← momentum · velocity + gradient; weight ← weight − rate · velocity, or − rate · (gradient + momentum · velocity). */
export function momentumStep(
  weights: usize,
  gradient: usize,
  velocity: usize,
  newWeights: usize,
  newVelocity: usize,
  count: usize,
  rate: f32,
  momentum: f32,
  nesterov: bool,
): void {
  const end = weights + (count << 2)
  const rates = f32x4.splat(rate)
  const momenta = f32x4.splat(momentum)
  for (; weights + 16 <= end; weights += 16) {
    const slope = v128.load(gradient)
    const next = f32x4.add(f32x4.mul(v128.load(velocity), momenta), slope)
    const along = nesterov ? f32x4.add(slope, f32x4.mul(next, momenta)) : next
    v128.store(newVelocity, next)
    v128.store(newWeights, f32x4.sub(v128.load(weights), f32x4.mul(along, rates)))
    gradient += 16
    velocity += 16
    newWeights += 16
    newVelocity += 16
  }
  for (; weights < end; weights += 4) {
    const slope = load<f32>(gradient)
    const next = load<f32>(velocity) * momentum + slope
    const along = nesterov ? slope + next * momentum : next
    store<f32>(newVelocity, next)
    store<f32>(newWeights, load<f32>(weights) - along * rate)
    gradient += 4
    velocity += 4
    newWeights += 4
    newVelocity += 4
  }
}

/**
 * mean ← β₁ · mean + (1 − β₁) · gradient; square ← β₂ · square + (1 − β₂) · gradient²;
 * weight ← kept · weight − rate · mean ÷ (√square + ε).
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
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
  epsilon: f32,
  kept: f32,
): void {
  const end = weights + (count << 2)
  for (; weights + 16 <= end; weights += 16) {
    const g = v128.load(gradient)
    const m = f32x4.add(f32x4.mul(v128.load(mean), f32x4.splat(beta1)), f32x4.mul(g, f32x4.splat(rest1)))
    const squared = f32x4.mul(f32x4.mul(g, g), f32x4.splat(rest2))
    const s = f32x4.add(f32x4.mul(v128.load(square), f32x4.splat(beta2)), squared)
    v128.store(newMean, m)
    v128.store(newSquare, s)
    const move = f32x4.div(f32x4.mul(m, f32x4.splat(rate)), f32x4.add(f32x4.sqrt(s), f32x4.splat(epsilon)))
    v128.store(newWeights, f32x4.sub(f32x4.mul(v128.load(weights), f32x4.splat(kept)), move))
    gradient += 16
    mean += 16
    square += 16
    newWeights += 16
    newMean += 16
    newSquare += 16
  }
  for (; weights < end; weights += 4) {
    const g = load<f32>(gradient)
    const m = load<f32>(mean) * beta1 + g * rest1
    const s = load<f32>(square) * beta2 + g * g * rest2
    store<f32>(newMean, m)
    store<f32>(newSquare, s)
    store<f32>(newWeights, load<f32>(weights) * kept - (m * rate) / (Mathf.sqrt(s) + epsilon))
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
