/**
 * Each window's gradient goes to its first largest value, in row-major order, as TF.js's cpu backend sends it. `inputGradient`
 * must hold zeros. Windows may overlap and may hang over the edges (`top`, `left` are the rows and columns of padding).
 */
export function maxPoolGradient(
  input: usize,
  output: usize,
  gradient: usize,
  inputGradient: usize,
  samples: i32,
  rows: i32,
  columns: i32,
  channels: i32,
  outRows: i32,
  outColumns: i32,
  poolRows: i32,
  poolColumns: i32,
  strideRows: i32,
  strideColumns: i32,
  top: i32,
  left: i32,
): void {
  for (let sample = 0; sample < samples; sample++) {
    for (let outRow = 0; outRow < outRows; outRow++) {
      const rowFrom = max(outRow * strideRows - top, 0)
      const rowTo = min(outRow * strideRows - top + poolRows, rows)
      for (let outColumn = 0; outColumn < outColumns; outColumn++) {
        const columnFrom = max(outColumn * strideColumns - left, 0)
        const columnTo = min(outColumn * strideColumns - left + poolColumns, columns)
        let channel = 0
        for (; channel + 4 <= channels; channel += 4, output += 16, gradient += 16) {
          const largest = v128.load(output)
          const passed = v128.load(gradient)
          let open = i32x4.splat(-1)
          for (let row = rowFrom; row < rowTo; row++) {
            for (let column = columnFrom; column < columnTo; column++) {
              const at = (<usize>(((sample * rows + row) * columns + column) * channels + channel)) << 2
              const hit = v128.and(open, f32x4.eq(v128.load(input + at), largest))
              open = v128.andnot(open, hit)
              const to = inputGradient + at
              v128.store(to, f32x4.add(v128.load(to), v128.and(passed, hit)))
            }
          }
        }
        for (; channel < channels; channel++, output += 4, gradient += 4) {
          const largest = load<f32>(output)
          let open = true
          for (let row = rowFrom; row < rowTo && open; row++) {
            for (let column = columnFrom; column < columnTo && open; column++) {
              const at = (<usize>(((sample * rows + row) * columns + column) * channels + channel)) << 2
              if (load<f32>(input + at) !== largest) continue
              const to = inputGradient + at
              store<f32>(to, load<f32>(to) + load<f32>(gradient))
              open = false
            }
          }
        }
      }
    }
  }
}
