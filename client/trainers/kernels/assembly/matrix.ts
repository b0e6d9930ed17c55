/** out [columns, rows] = in [rows, columns] turned over. */
export function transpose(from: usize, out: usize, rows: usize, columns: usize): void {
  for (let column: usize = 0; column < columns; column++) {
    let at = from + (column << 2)
    for (let row: usize = 0; row < rows; row++) {
      store<f32>(out, load<f32>(at))
      at += columns << 2
      out += 4
    }
  }
}

/** out[column] = Σ over rows. */
export function columnSums(from: usize, out: usize, rows: usize, columns: usize): void {
  memory.fill(out, 0, columns << 2)
  for (let row: usize = 0; row < rows; row++) {
    let column: usize = 0
    for (; column + 4 <= columns; column += 4, from += 16) {
      const to = out + (column << 2)
      v128.store(to, f32x4.add(v128.load(to), v128.load(from)))
    }
    for (; column < columns; column++, from += 4) {
      const to = out + (column << 2)
      store<f32>(to, load<f32>(to) + load<f32>(from))
    }
  }
}
