import { sha256 } from '#crypto'
import { compareBytes, utf8 } from './bytes.ts'
import type { Bytes, Cid } from './ids.ts'

/**
 * Rendezvous hashing (Thaler and Ravishankar 1998): which of several places a block belongs to, the first before the
 * second. Everybody who knows the same places ranks them alike, each place is first for about as many blocks as any other,
 * and where one is gone only its own blocks go elsewhere, each to its second.
 *
 * @param places their URLs, each exactly as everybody writes it
 */
export function rankPlaces(cid: Cid, places: readonly string[]): readonly string[] {
  const weighed = places.map((place) => ({ place, weight: sha256(utf8(`${place}\0${cid}`)) }))
  return weighed.sort((a, b) => heavierFirst(a.weight, b.weight)).map(({ place }) => place)
}

function heavierFirst(a: Bytes, b: Bytes): number {
  return compareBytes(b, a)
}
