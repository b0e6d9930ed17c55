/** Rows that one sum runs over before it joins the whole: a long sum of floats loses digits. */
const CHUNK: usize = 256

/**
 * Mean and variance of each column, then out = scale · (x − mean) ÷ √(variance + ε) + offset. The variance is that of the rows
 * given: divided by their number. `factor` is room for a float a column.
 */
export function normalizeColumns(
  x: usize,
  scale: usize,
  offset: usize,
  out: usize,
  mean: usize,
  variance: usize,
  factor: usize,
  rows: usize,
  columns: usize,
  epsilon: f32,
): void {
  const rowBytes = columns << 2
  const end = x + rows * rowBytes
  const share: f32 = 1 / <f32>rows
  memory.fill(mean, 0, rowBytes)
  memory.fill(variance, 0, rowBytes)
  for (let from = x; from < end; from += CHUNK * rowBytes) {
    const to = min(from + CHUNK * rowBytes, end)
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      let sum = f32x4.splat(0)
      for (let at = from + column; at < to; at += rowBytes) sum = f32x4.add(sum, v128.load(at))
      v128.store(mean + column, f32x4.add(v128.load(mean + column), sum))
    }
    for (; column < rowBytes; column += 4) {
      let sum: f32 = 0
      for (let at = from + column; at < to; at += rowBytes) sum += load<f32>(at)
      store<f32>(mean + column, load<f32>(mean + column) + sum)
    }
  }
  for (let column: usize = 0; column < rowBytes; column += 4) {
    store<f32>(mean + column, load<f32>(mean + column) * share)
  }
  for (let from = x; from < end; from += CHUNK * rowBytes) {
    const to = min(from + CHUNK * rowBytes, end)
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      const middle = v128.load(mean + column)
      let sum = f32x4.splat(0)
      for (let at = from + column; at < to; at += rowBytes) {
        const away = f32x4.sub(v128.load(at), middle)
        sum = f32x4.add(sum, f32x4.mul(away, away))
      }
      v128.store(variance + column, f32x4.add(v128.load(variance + column), sum))
    }
    for (; column < rowBytes; column += 4) {
      const middle = load<f32>(mean + column)
      let sum: f32 = 0
      for (let at = from + column; at < to; at += rowBytes) {
        const away = load<f32>(at) - middle
        sum += away * away
      }
      store<f32>(variance + column, load<f32>(variance + column) + sum)
    }
  }
  for (let column: usize = 0; column < rowBytes; column += 4) {
    const spread = load<f32>(variance + column) * share
    store<f32>(variance + column, spread)
    store<f32>(factor + column, load<f32>(scale + column) / Mathf.sqrt(spread + epsilon))
  }
  for (; x < end; x += rowBytes, out += rowBytes) {
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      const away = f32x4.sub(v128.load(x + column), v128.load(mean + column))
      v128.store(out + column, f32x4.add(f32x4.mul(away, v128.load(factor + column)), v128.load(offset + column)))
    }
    for (; column < rowBytes; column += 4) {
      const away = load<f32>(x + column) - load<f32>(mean + column)
      store<f32>(out + column, away * load<f32>(factor + column) + load<f32>(offset + column))
    }
  }
}

/**
 * The gradients of {@link normalizeColumns}, through mean and variance too (Ioffe and Szegedy 2015, §3):
 * offsetGradient = Σ dy, scaleGradient = Σ dy · x̂, out = scale ÷ σ · (dy − mean(dy) − x̂ · mean(dy · x̂)). `factor`, `slope` and
 * `shift` are room for a float a column.
 */
export function normalizeColumnsGradient(
  dy: usize,
  x: usize,
  mean: usize,
  variance: usize,
  scale: usize,
  out: usize,
  scaleGradient: usize,
  offsetGradient: usize,
  factor: usize,
  slope: usize,
  shift: usize,
  rows: usize,
  columns: usize,
  epsilon: f32,
): void {
  const rowBytes = columns << 2
  const sizeBytes = rows * rowBytes
  const share: f32 = 1 / <f32>rows
  memory.fill(scaleGradient, 0, rowBytes)
  memory.fill(offsetGradient, 0, rowBytes)
  for (let from: usize = 0; from < sizeBytes; from += CHUNK * rowBytes) {
    const to = min(from + CHUNK * rowBytes, sizeBytes)
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      const middle = v128.load(mean + column)
      let sum = f32x4.splat(0)
      let product = f32x4.splat(0)
      for (let at = from + column; at < to; at += rowBytes) {
        const gradient = v128.load(dy + at)
        sum = f32x4.add(sum, gradient)
        product = f32x4.add(product, f32x4.mul(gradient, f32x4.sub(v128.load(x + at), middle)))
      }
      v128.store(offsetGradient + column, f32x4.add(v128.load(offsetGradient + column), sum))
      v128.store(scaleGradient + column, f32x4.add(v128.load(scaleGradient + column), product))
    }
    for (; column < rowBytes; column += 4) {
      const middle = load<f32>(mean + column)
      let sum: f32 = 0
      let product: f32 = 0
      for (let at = from + column; at < to; at += rowBytes) {
        const gradient = load<f32>(dy + at)
        sum += gradient
        product += gradient * (load<f32>(x + at) - middle)
      }
      store<f32>(offsetGradient + column, load<f32>(offsetGradient + column) + sum)
      store<f32>(scaleGradient + column, load<f32>(scaleGradient + column) + product)
    }
  }
  for (let column: usize = 0; column < rowBytes; column += 4) {
    const inverse: f32 = 1 / Mathf.sqrt(load<f32>(variance + column) + epsilon)
    const gained = load<f32>(scaleGradient + column) * inverse
    const rise = load<f32>(scale + column) * inverse
    store<f32>(scaleGradient + column, gained)
    store<f32>(factor + column, rise)
    store<f32>(slope + column, rise * inverse * gained * share)
    store<f32>(shift + column, rise * load<f32>(offsetGradient + column) * share)
  }
  for (const end = x + sizeBytes; x < end; x += rowBytes, dy += rowBytes, out += rowBytes) {
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      const away = f32x4.sub(v128.load(x + column), v128.load(mean + column))
      const risen = f32x4.mul(v128.load(dy + column), v128.load(factor + column))
      const fallen = f32x4.add(f32x4.mul(away, v128.load(slope + column)), v128.load(shift + column))
      v128.store(out + column, f32x4.sub(risen, fallen))
    }
    for (; column < rowBytes; column += 4) {
      const away = load<f32>(x + column) - load<f32>(mean + column)
      const risen = load<f32>(dy + column) * load<f32>(factor + column)
      store<f32>(out + column, risen - (away * load<f32>(slope + column) + load<f32>(shift + column)))
    }
  }
}

/** out = scale · (x − mean) ÷ √(variance + ε) + offset, by the mean and the variance of each row. */
export function normalizeRows(
  x: usize,
  scale: usize,
  offset: usize,
  out: usize,
  rows: usize,
  columns: usize,
  epsilon: f32,
): void {
  const rowBytes = columns << 2
  for (let row: usize = 0; row < rows; row++, x += rowBytes, out += rowBytes) {
    const mean = meanOf(x, columns)
    const inverse = inverseDeviationOf(x, columns, mean, epsilon)
    let at: usize = 0
    for (; at + 16 <= rowBytes; at += 16) {
      const standard = f32x4.mul(f32x4.sub(v128.load(x + at), f32x4.splat(mean)), f32x4.splat(inverse))
      v128.store(out + at, f32x4.add(f32x4.mul(standard, v128.load(scale + at)), v128.load(offset + at)))
    }
    for (; at < rowBytes; at += 4) {
      const standard = (load<f32>(x + at) - mean) * inverse
      store<f32>(out + at, standard * load<f32>(scale + at) + load<f32>(offset + at))
    }
  }
}

/** The gradients of {@link normalizeRows}: as those of {@link normalizeColumnsGradient}, with rows for columns. */
export function normalizeRowsGradient(
  dy: usize,
  x: usize,
  scale: usize,
  out: usize,
  scaleGradient: usize,
  offsetGradient: usize,
  rows: usize,
  columns: usize,
  epsilon: f32,
): void {
  const rowBytes = columns << 2
  const share: f32 = 1 / <f32>columns
  memory.fill(scaleGradient, 0, rowBytes)
  memory.fill(offsetGradient, 0, rowBytes)
  for (let row: usize = 0; row < rows; row++, x += rowBytes, dy += rowBytes, out += rowBytes) {
    const mean = meanOf(x, columns)
    const inverse = inverseDeviationOf(x, columns, mean, epsilon)
    let sums = f32x4.splat(0)
    let products = f32x4.splat(0)
    let at: usize = 0
    for (; at + 16 <= rowBytes; at += 16) {
      const standard = f32x4.mul(f32x4.sub(v128.load(x + at), f32x4.splat(mean)), f32x4.splat(inverse))
      const gradient = v128.load(dy + at)
      const scaled = f32x4.mul(gradient, v128.load(scale + at))
      sums = f32x4.add(sums, scaled)
      products = f32x4.add(products, f32x4.mul(scaled, standard))
      v128.store(offsetGradient + at, f32x4.add(v128.load(offsetGradient + at), gradient))
      v128.store(scaleGradient + at, f32x4.add(v128.load(scaleGradient + at), f32x4.mul(gradient, standard)))
    }
    let sum = total(sums)
    let product = total(products)
    for (; at < rowBytes; at += 4) {
      const standard = (load<f32>(x + at) - mean) * inverse
      const gradient = load<f32>(dy + at)
      sum += gradient * load<f32>(scale + at)
      product += gradient * load<f32>(scale + at) * standard
      store<f32>(offsetGradient + at, load<f32>(offsetGradient + at) + gradient)
      store<f32>(scaleGradient + at, load<f32>(scaleGradient + at) + gradient * standard)
    }
    sum *= share
    product *= share
    at = 0
    for (; at + 16 <= rowBytes; at += 16) {
      const standard = f32x4.mul(f32x4.sub(v128.load(x + at), f32x4.splat(mean)), f32x4.splat(inverse))
      const scaled = f32x4.mul(v128.load(dy + at), v128.load(scale + at))
      const left = f32x4.sub(f32x4.sub(scaled, f32x4.splat(sum)), f32x4.mul(standard, f32x4.splat(product)))
      v128.store(out + at, f32x4.mul(left, f32x4.splat(inverse)))
    }
    for (; at < rowBytes; at += 4) {
      const standard = (load<f32>(x + at) - mean) * inverse
      store<f32>(out + at, inverse * (load<f32>(dy + at) * load<f32>(scale + at) - sum - standard * product))
    }
  }
}

function meanOf(x: usize, count: usize): f32 {
  const end = x + (count << 2)
  let sums = f32x4.splat(0)
  for (; x + 16 <= end; x += 16) sums = f32x4.add(sums, v128.load(x))
  let sum = total(sums)
  for (; x < end; x += 4) sum += load<f32>(x)
  return sum / <f32>count
}

function inverseDeviationOf(x: usize, count: usize, mean: f32, epsilon: f32): f32 {
  const end = x + (count << 2)
  let sums = f32x4.splat(0)
  for (; x + 16 <= end; x += 16) {
    const away = f32x4.sub(v128.load(x), f32x4.splat(mean))
    sums = f32x4.add(sums, f32x4.mul(away, away))
  }
  let sum = total(sums)
  for (; x < end; x += 4) {
    const away = load<f32>(x) - mean
    sum += away * away
  }
  return 1 / Mathf.sqrt(sum / <f32>count + epsilon)
}

function total(four: v128): f32 {
  return (
    f32x4.extract_lane(four, 0) +
    f32x4.extract_lane(four, 1) +
    (f32x4.extract_lane(four, 2) + f32x4.extract_lane(four, 3))
  )
}
