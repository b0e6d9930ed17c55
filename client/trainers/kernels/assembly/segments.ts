/** out[id] += row, for the rows of `width` floats whose ids are inside 0 … segments − 1; the others are left out. */
export function sumSegments(from: usize, ids: usize, out: usize, rows: usize, width: usize, segments: i32): void {
  const rowBytes = width << 2
  memory.fill(out, 0, <usize>segments * rowBytes)
  for (let row: usize = 0; row < rows; row++, from += rowBytes) {
    const id = load<i32>(ids + (row << 2))
    if (id < 0 || id >= segments) continue
    const to = out + <usize>id * rowBytes
    let at: usize = 0
    for (; at + 16 <= rowBytes; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)))
    for (; at < rowBytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at))
  }
}
