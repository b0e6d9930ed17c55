/**
 * Convolutions over images that are already padded, rows × columns × channels, float32. A kernel's row covers `span`
 * (= columns × channels) floats that lie side by side in the image, so no patch is ever copied out: the sums read the
 * image where it lies. A matrix product is the case of one row, one column and `span` channels.
 *
 * Sizes ending in `Bytes` are steps between addresses. TF.js owns the memory; nothing is allocated here.
 */

/**
 * Kernels [span × rows, filters] and their biases, cut into blocks of eight filters with zeros after the last, which is
 * the order in which {@link convolve} reads them. `bias` 0 stands for no bias.
 */
export function packFilters(
  kernel: usize,
  bias: usize,
  packed: usize,
  packedBias: usize,
  taps: usize,
  filters: usize,
): void {
  for (let first: usize = 0; first < filters; first += 8) {
    const width = min<usize>(filters - first, 8)
    let from = kernel + (first << 2)
    let to = packed + ((first * taps) << 2)
    const end = to + (taps << 5)
    if (width === 8) {
      for (; to < end; to += 32, from += filters << 2) {
        v128.store(to, v128.load(from))
        v128.store(to, v128.load(from, 16), 16)
      }
    } else {
      for (; to < end; to += 32, from += filters << 2) {
        v128.store(to, low(from, width))
        v128.store(to, high(from, width), 16)
      }
    }
    const biases = packedBias + (first << 2)
    v128.store(biases, bias ? low(bias + (first << 2), width) : f32x4.splat(0))
    v128.store(biases, bias ? high(bias + (first << 2), width) : f32x4.splat(0), 16)
  }
}

/** out[position, filter] = bias[filter] + Σ image · kernel, then max(0, ·) where `relu`. Four positions × eight filters at a time. */
export function convolve(
  image: usize,
  packed: usize,
  packedBias: usize,
  out: usize,
  samples: usize,
  sampleBytes: usize,
  rowBytes: usize,
  kernelRows: usize,
  span: usize,
  outRows: usize,
  outColumns: usize,
  filters: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
  relu: i32,
): void {
  const floor = relu ? f32x4.splat(0) : f32x4.splat(-Infinity)
  const blockBytes = (kernelRows * span) << 5
  const spanBytes = span << 2
  const filterBytes = filters << 2
  const step = strideColumnBytes
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let outRow: usize = 0; outRow < outRows; outRow++) {
      const base = image + sample * sampleBytes + outRow * strideRowBytes
      const outBase = out + (sample * outRows + outRow) * outColumns * filterBytes
      for (let first: usize = 0; first < filters; first += 8) {
        const weights = packed + (first >> 3) * blockBytes
        const bias0 = v128.load(packedBias + (first << 2))
        const bias1 = v128.load(packedBias + (first << 2), 16)
        const width = min<usize>(filters - first, 8)
        let from = base
        let to = outBase + (first << 2)
        let column: usize = 0
        for (; column + 4 <= outColumns; column += 4) {
          let a0 = bias0,
            a1 = bias1,
            b0 = bias0,
            b1 = bias1,
            c0 = bias0,
            c1 = bias1,
            d0 = bias0,
            d1 = bias1
          let weight = weights
          for (let row: usize = 0; row < kernelRows; row++) {
            let at = from + row * rowBytes
            for (const end = at + spanBytes; at < end; at += 4) {
              const w0 = v128.load(weight)
              const w1 = v128.load(weight, 16)
              weight += 32
              const a = v128.load_splat<f32>(at)
              a0 = f32x4.add(a0, f32x4.mul(a, w0))
              a1 = f32x4.add(a1, f32x4.mul(a, w1))
              const b = v128.load_splat<f32>(at + step)
              b0 = f32x4.add(b0, f32x4.mul(b, w0))
              b1 = f32x4.add(b1, f32x4.mul(b, w1))
              const c = v128.load_splat<f32>(at + 2 * step)
              c0 = f32x4.add(c0, f32x4.mul(c, w0))
              c1 = f32x4.add(c1, f32x4.mul(c, w1))
              const d = v128.load_splat<f32>(at + 3 * step)
              d0 = f32x4.add(d0, f32x4.mul(d, w0))
              d1 = f32x4.add(d1, f32x4.mul(d, w1))
            }
          }
          put(to, width, f32x4.max(a0, floor), f32x4.max(a1, floor))
          put(to + filterBytes, width, f32x4.max(b0, floor), f32x4.max(b1, floor))
          put(to + 2 * filterBytes, width, f32x4.max(c0, floor), f32x4.max(c1, floor))
          put(to + 3 * filterBytes, width, f32x4.max(d0, floor), f32x4.max(d1, floor))
          from += step << 2
          to += filterBytes << 2
        }
        for (; column < outColumns; column++) {
          let a0 = bias0,
            a1 = bias1
          let weight = weights
          for (let row: usize = 0; row < kernelRows; row++) {
            let at = from + row * rowBytes
            for (const end = at + spanBytes; at < end; at += 4) {
              const a = v128.load_splat<f32>(at)
              a0 = f32x4.add(a0, f32x4.mul(a, v128.load(weight)))
              a1 = f32x4.add(a1, f32x4.mul(a, v128.load(weight, 16)))
              weight += 32
            }
          }
          put(to, width, f32x4.max(a0, floor), f32x4.max(a1, floor))
          from += step
          to += filterBytes
        }
      }
    }
  }
}

/** The first `width` (1 to 8) of eight floats. */
function put(to: usize, width: usize, low: v128, high: v128): void {
  if (width === 8) {
    v128.store(to, low)
    v128.store(to, high, 16)
    return
  }
  let rest = low
  if (width >= 4) {
    v128.store(to, low)
    to += 16
    width -= 4
    rest = high
  }
  if (width >= 2) {
    v128.store64_lane(to, rest, 0)
    to += 8
    width -= 2
    rest = i64x2.shuffle(rest, rest, 1, 1)
  }
  if (width) v128.store32_lane(to, rest, 0)
}

/** The first four of `width` (1 to 8) floats; zeros after the last. */
function low(from: usize, width: usize): v128 {
  return width >= 4 ? v128.load(from) : few(from, width)
}

/** The floats after those. */
function high(from: usize, width: usize): v128 {
  if (width === 8) return v128.load(from, 16)
  return width > 4 ? few(from + 16, width - 4) : f32x4.splat(0)
}

/** One to three floats. */
function few(from: usize, width: usize): v128 {
  if (width === 1) return v128.load32_zero(from)
  const pair = v128.load64_zero(from)
  return width === 2 ? pair : f32x4.replace_lane(pair, 2, load<f32>(from, 8))
}

/**
 * kernelGradient[tap, filter] += Σ over positions of image · gradient. Four taps × eight filters at a time, summed over one
 * sample in registers: a sample's image and gradient stay in the nearest cache while all its taps read them.
 */
export function backpropFilter(
  image: usize,
  gradient: usize,
  kernelGradient: usize,
  samples: usize,
  sampleBytes: usize,
  rowBytes: usize,
  kernelRows: usize,
  span: usize,
  outRows: usize,
  outColumns: usize,
  filters: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
): void {
  const taps = kernelRows * span
  const filterBytes = filters << 2
  const lineBytes = outColumns * filterBytes
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let tap: usize = 0; tap < taps; tap += 4) {
      // After the last tap, the last again: its sums are not stored.
      const last = taps - 1
      const tap0 = image + offsetOf(tap, span, rowBytes)
      const tap1 = image + offsetOf(min(tap + 1, last), span, rowBytes)
      const tap2 = image + offsetOf(min(tap + 2, last), span, rowBytes)
      const tap3 = image + offsetOf(min(tap + 3, last), span, rowBytes)
      for (let first: usize = 0; first < filters; first += 8) {
        const width = min<usize>(filters - first, 8)
        let a0 = f32x4.splat(0),
          a1 = f32x4.splat(0),
          b0 = f32x4.splat(0),
          b1 = f32x4.splat(0),
          c0 = f32x4.splat(0),
          c1 = f32x4.splat(0),
          d0 = f32x4.splat(0),
          d1 = f32x4.splat(0)
        let from = gradient + (first << 2)
        for (let outRow: usize = 0; outRow < outRows; outRow++) {
          let at = outRow * strideRowBytes
          for (const end = from + lineBytes; from < end; from += filterBytes) {
            const g0 = low(from, width)
            const g1 = high(from, width)
            const a = v128.load_splat<f32>(tap0 + at)
            a0 = f32x4.add(a0, f32x4.mul(a, g0))
            a1 = f32x4.add(a1, f32x4.mul(a, g1))
            const b = v128.load_splat<f32>(tap1 + at)
            b0 = f32x4.add(b0, f32x4.mul(b, g0))
            b1 = f32x4.add(b1, f32x4.mul(b, g1))
            const c = v128.load_splat<f32>(tap2 + at)
            c0 = f32x4.add(c0, f32x4.mul(c, g0))
            c1 = f32x4.add(c1, f32x4.mul(c, g1))
            const d = v128.load_splat<f32>(tap3 + at)
            d0 = f32x4.add(d0, f32x4.mul(d, g0))
            d1 = f32x4.add(d1, f32x4.mul(d, g1))
            at += strideColumnBytes
          }
        }
        const to = kernelGradient + tap * filterBytes + (first << 2)
        raise(to, width, a0, a1)
        if (tap + 1 < taps) raise(to + filterBytes, width, b0, b1)
        if (tap + 2 < taps) raise(to + 2 * filterBytes, width, c0, c1)
        if (tap + 3 < taps) raise(to + 3 * filterBytes, width, d0, d1)
      }
    }
    image += sampleBytes
    gradient += outRows * lineBytes
  }
}

/** Where a tap lies, from its window's first. */
function offsetOf(tap: usize, span: usize, rowBytes: usize): usize {
  return (tap / span) * rowBytes + ((tap % span) << 2)
}

/** Adds the first `width` (1 to 8) of eight floats. */
function raise(to: usize, width: usize, first: v128, second: v128): void {
  put(to, width, f32x4.add(first, low(to, width)), f32x4.add(second, high(to, width)))
}

/**
 * imageGradient += gradient · kernel[filter, tap], filters first, so that one filter's taps lie side by side. A zero gradient
 * adds nothing and is skipped: after max pooling and ReLU most of them are.
 */
export function backpropInput(
  imageGradient: usize,
  gradient: usize,
  kernel: usize,
  samples: usize,
  sampleBytes: usize,
  rowBytes: usize,
  kernelRows: usize,
  span: usize,
  outRows: usize,
  outColumns: usize,
  filters: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
): void {
  const filterBytes = (kernelRows * span) << 2
  let from = gradient
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let outRow: usize = 0; outRow < outRows; outRow++) {
      let window = imageGradient + sample * sampleBytes + outRow * strideRowBytes
      for (let column: usize = 0; column < outColumns; column++) {
        for (let filter: usize = 0; filter < filters; filter++) {
          if (filter + 4 <= filters && !v128.any_true(v128.load(from))) {
            from += 16
            filter += 3
            continue
          }
          const g = load<f32>(from)
          from += 4
          if (g === 0) continue
          let taps = kernel + filter * filterBytes
          for (let row: usize = 0; row < kernelRows; row++) {
            addScaled(window + row * rowBytes, taps, g, span)
            taps += span << 2
          }
        }
        window += strideColumnBytes
      }
    }
  }
}

/** to[i] += from[i] · scale */
function addScaled(to: usize, from: usize, scale: f32, length: usize): void {
  const scales = f32x4.splat(scale)
  const end = to + (length << 2)
  for (; to + 16 <= end; to += 16, from += 16) {
    v128.store(to, f32x4.add(v128.load(to), f32x4.mul(v128.load(from), scales)))
  }
  for (; to < end; to += 4, from += 4) store<f32>(to, load<f32>(to) + load<f32>(from) * scale)
}
