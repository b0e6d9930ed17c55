/**
 * Convolutions that keep channels apart, over images that are already padded: out[position, channel] = Σ over taps of
 * image · filter[tap, channel]. Channels lie side by side everywhere, so four of them are one vector. A tap is `tapRowBytes`
 * below the one above it and `tapColumnBytes` right of the one before it; more than a pixel apart, it is dilated.
 */
export function depthwise(
  image: usize,
  filter: usize,
  out: usize,
  samples: usize,
  sampleBytes: usize,
  kernelRows: usize,
  kernelColumns: usize,
  tapRowBytes: usize,
  tapColumnBytes: usize,
  outRows: usize,
  outColumns: usize,
  channels: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
): void {
  const pixelBytes = channels << 2
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let outRow: usize = 0; outRow < outRows; outRow++) {
      let window = image + sample * sampleBytes + outRow * strideRowBytes
      for (let column: usize = 0; column < outColumns; column++) {
        let at: usize = 0
        for (; at + 16 <= pixelBytes; at += 16) {
          let sum = f32x4.splat(0)
          let weight = filter + at
          for (let row: usize = 0; row < kernelRows; row++) {
            let from = window + at + row * tapRowBytes
            for (let tap: usize = 0; tap < kernelColumns; tap++) {
              sum = f32x4.add(sum, f32x4.mul(v128.load(from), v128.load(weight)))
              from += tapColumnBytes
              weight += pixelBytes
            }
          }
          v128.store(out + at, sum)
        }
        for (; at < pixelBytes; at += 4) {
          let sum: f32 = 0
          let weight = filter + at
          for (let row: usize = 0; row < kernelRows; row++) {
            let from = window + at + row * tapRowBytes
            for (let tap: usize = 0; tap < kernelColumns; tap++) {
              sum += load<f32>(from) * load<f32>(weight)
              from += tapColumnBytes
              weight += pixelBytes
            }
          }
          store<f32>(out + at, sum)
        }
        window += strideColumnBytes
        out += pixelBytes
      }
    }
  }
}

/** filterGradient[tap, channel] += Σ over positions of gradient · image. */
export function depthwiseBackpropFilter(
  image: usize,
  gradient: usize,
  filterGradient: usize,
  samples: usize,
  sampleBytes: usize,
  kernelRows: usize,
  kernelColumns: usize,
  tapRowBytes: usize,
  tapColumnBytes: usize,
  outRows: usize,
  outColumns: usize,
  channels: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
): void {
  const pixelBytes = channels << 2
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let outRow: usize = 0; outRow < outRows; outRow++) {
      const line = image + sample * sampleBytes + outRow * strideRowBytes
      let to = filterGradient
      for (let row: usize = 0; row < kernelRows; row++) {
        for (let tap: usize = 0; tap < kernelColumns; tap++) {
          const window = line + row * tapRowBytes + tap * tapColumnBytes
          let at: usize = 0
          for (; at + 16 <= pixelBytes; at += 16) {
            let sum = f32x4.splat(0)
            let from = window + at
            let dy = gradient + at
            for (let column: usize = 0; column < outColumns; column++) {
              sum = f32x4.add(sum, f32x4.mul(v128.load(from), v128.load(dy)))
              from += strideColumnBytes
              dy += pixelBytes
            }
            v128.store(to + at, f32x4.add(v128.load(to + at), sum))
          }
          for (; at < pixelBytes; at += 4) {
            let sum: f32 = 0
            let from = window + at
            let dy = gradient + at
            for (let column: usize = 0; column < outColumns; column++) {
              sum += load<f32>(from) * load<f32>(dy)
              from += strideColumnBytes
              dy += pixelBytes
            }
            store<f32>(to + at, load<f32>(to + at) + sum)
          }
          to += pixelBytes
        }
      }
      gradient += outColumns * pixelBytes
    }
  }
}

/** imageGradient[position + tap, channel] += gradient[position, channel] · filter[tap, channel]. */
export function depthwiseBackpropInput(
  imageGradient: usize,
  gradient: usize,
  filter: usize,
  samples: usize,
  sampleBytes: usize,
  kernelRows: usize,
  kernelColumns: usize,
  tapRowBytes: usize,
  tapColumnBytes: usize,
  outRows: usize,
  outColumns: usize,
  channels: usize,
  strideRowBytes: usize,
  strideColumnBytes: usize,
): void {
  const pixelBytes = channels << 2
  for (let sample: usize = 0; sample < samples; sample++) {
    for (let outRow: usize = 0; outRow < outRows; outRow++) {
      let window = imageGradient + sample * sampleBytes + outRow * strideRowBytes
      for (let column: usize = 0; column < outColumns; column++) {
        let weight = filter
        for (let row: usize = 0; row < kernelRows; row++) {
          let to = window + row * tapRowBytes
          for (let tap: usize = 0; tap < kernelColumns; tap++) {
            let at: usize = 0
            for (; at + 16 <= pixelBytes; at += 16) {
              const product = f32x4.mul(v128.load(gradient + at), v128.load(weight + at))
              v128.store(to + at, f32x4.add(v128.load(to + at), product))
            }
            for (; at < pixelBytes; at += 4) {
              store<f32>(to + at, load<f32>(to + at) + load<f32>(gradient + at) * load<f32>(weight + at))
            }
            to += tapColumnBytes
            weight += pixelBytes
          }
        }
        window += strideColumnBytes
        gradient += pixelBytes
      }
    }
  }
}

/** out = every one of `count` floats `times` over: a channel that several filters read. */
export function repeatEach(from: usize, out: usize, count: usize, times: usize): void {
  for (let index: usize = 0; index < count; index++) {
    const value = load<f32>(from + (index << 2))
    for (let time: usize = 0; time < times; time++, out += 4) store<f32>(out, value)
  }
}

/** out[i] = the sum of the i-th `times` floats: {@link repeatEach}'s gradient. */
export function sumEach(from: usize, out: usize, count: usize, times: usize): void {
  for (let index: usize = 0; index < count; index++) {
    let sum: f32 = 0
    for (let time: usize = 0; time < times; time++, from += 4) sum += load<f32>(from)
    store<f32>(out + (index << 2), sum)
  }
}
