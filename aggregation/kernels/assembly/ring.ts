/** The memory: four tiles of this size (kernels/ring.ts names the same number), and after them the sum. */
const TILE_BYTES: usize = 65_536

/**
 * sum += tile 0 + tile 1 + tile 2 + tile 3 (mod 2^32), from byte `at` of the sum on, over the first `bytes` (a multiple of
 * 16) of each tile. Four at once, since the sum is then read and written a quarter as often.
 */
export function addTiles(at: usize, bytes: usize): void {
  let sum = TILE_BYTES * 4 + at
  for (let from: usize = 0; from < bytes; from += 16, sum += 16) v128.store(sum, i32x4.add(v128.load(sum), four(from)))
}

/** sum −= tile 0 + tile 1 + tile 2 + tile 3 (mod 2^32), likewise. */
export function subtractTiles(at: usize, bytes: usize): void {
  let sum = TILE_BYTES * 4 + at
  for (let from: usize = 0; from < bytes; from += 16, sum += 16) v128.store(sum, i32x4.sub(v128.load(sum), four(from)))
}

function four(from: usize): v128 {
  const first = i32x4.add(v128.load(from), v128.load(from, TILE_BYTES))
  const second = i32x4.add(v128.load(from, TILE_BYTES * 2), v128.load(from, TILE_BYTES * 3))
  return i32x4.add(first, second)
}
