/** out [columns, rows] = in [rows, columns] turned over, four by four where there are as many. */
export function transpose(from: usize, out: usize, rows: usize, columns: usize): void {
  const rowBytes = columns << 2
  const outBytes = rows << 2
  let row: usize = 0
  for (; row + 4 <= rows; row += 4) {
    let at = from + row * rowBytes
    let to = out + (row << 2)
    let column: usize = 0
    for (; column + 4 <= columns; column += 4, at += 16) {
      const a = v128.load(at)
      const b = v128.load(at + rowBytes)
      const c = v128.load(at + 2 * rowBytes)
      const d = v128.load(at + 3 * rowBytes)
      const ab = i32x4.shuffle(a, b, 0, 4, 1, 5)
      const ba = i32x4.shuffle(a, b, 2, 6, 3, 7)
      const cd = i32x4.shuffle(c, d, 0, 4, 1, 5)
      const dc = i32x4.shuffle(c, d, 2, 6, 3, 7)
      v128.store(to, i64x2.shuffle(ab, cd, 0, 2))
      v128.store(to + outBytes, i64x2.shuffle(ab, cd, 1, 3))
      v128.store(to + 2 * outBytes, i64x2.shuffle(ba, dc, 0, 2))
      v128.store(to + 3 * outBytes, i64x2.shuffle(ba, dc, 1, 3))
      to += outBytes << 2
    }
    for (; column < columns; column++, at += 4, to += outBytes) {
      for (let below: usize = 0; below < 4; below++) store<f32>(to + (below << 2), load<f32>(at + below * rowBytes))
    }
  }
  for (; row < rows; row++) {
    for (let column: usize = 0; column < columns; column++) {
      store<f32>(out + column * outBytes + (row << 2), load<f32>(from + row * rowBytes + (column << 2)))
    }
  }
}

/** Rows that one sum runs over before it is added to the whole: a long sum of floats loses digits. */
const CHUNK: usize = 256

/** out[column] = Σ over rows. */
export function columnSums(from: usize, out: usize, rows: usize, columns: usize): void {
  const rowBytes = columns << 2
  memory.fill(out, 0, rowBytes)
  for (let row: usize = 0; row < rows; row += CHUNK) {
    const first = from + row * rowBytes
    const end = first + min(rows - row, CHUNK) * rowBytes
    let column: usize = 0
    for (; column + 16 <= rowBytes; column += 16) {
      let sum = f32x4.splat(0)
      for (let at = first + column; at < end; at += rowBytes) sum = f32x4.add(sum, v128.load(at))
      v128.store(out + column, f32x4.add(v128.load(out + column), sum))
    }
    for (; column < rowBytes; column += 4) {
      let sum: f32 = 0
      for (let at = first + column; at < end; at += rowBytes) sum += load<f32>(at)
      store<f32>(out + column, load<f32>(out + column) + sum)
    }
  }
}
