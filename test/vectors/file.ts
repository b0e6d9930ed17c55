import { toHex } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { extentOf, nodeOf } from '#protocol/file-tree.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

/** Files of nothing but zeros: one of two leaves, and the least that has nodes of two heights. */
export function fileVector() {
  const leafOf = (sizeBytes: number) => cidOf(RAW, new Uint8Array(sizeBytes))
  const [full, last, one] = [leafOf(MIB), leafOf(5), leafOf(1)]
  const small = nodeOf([full, last], extentOf(MIB + 5))
  const lower = [
    nodeOf(Array(1024).fill(full), { height: 1, sizeBytes: GIB }),
    nodeOf([one], { height: 1, sizeBytes: 1 }),
  ]
  const nodes = lower.map(({ cid }) => cid)
  const large = nodeOf(nodes, extentOf(GIB + 1))
  return {
    two: { sizeBytes: MIB + 5, leaves: [full, last], root: small.cid, rootBytes: toHex(small.bytes) },
    tall: { sizeBytes: GIB + 1, nodes, root: large.cid, rootBytes: toHex(large.bytes) },
  }
}
