/** Reads the first `bytes` (a multiple of 64) of the memory and does next to nothing with them. @returns their parity */
export function read(bytes: usize): i32 {
  let a = i32x4.splat(0)
  let b = a
  let c = a
  let d = a
  for (let at: usize = 0; at < bytes; at += 64) {
    a = v128.xor(a, v128.load(at))
    b = v128.xor(b, v128.load(at, 16))
    c = v128.xor(c, v128.load(at, 32))
    d = v128.xor(d, v128.load(at, 48))
  }
  const all = v128.xor(v128.xor(a, b), v128.xor(c, d))
  return (
    i32x4.extract_lane(all, 0) ^ i32x4.extract_lane(all, 1) ^ i32x4.extract_lane(all, 2) ^ i32x4.extract_lane(all, 3)
  )
}
