import { sha256 } from '#crypto'
import { concat, utf8 } from './bytes.ts'
import { type NodeId, publicKeyOf } from './ids.ts'

const CONSONANTS = 'bdfghjklmnprstvz'
const VOWELS = 'aiou'
const WORDS = 6

/**
 * A key as six words that two people compare on a telephone: the first 96 bits of its hash as proquints (Wilkerson 2009),
 * sixteen bits each. Whoever wants to pass for a key needs one that reads the same, which takes 2^96 attempts.
 */
export function fingerprintOf(id: NodeId): string {
  const hash = sha256(concat(utf8('consilium/1 fingerprint\0'), publicKeyOf(id)))
  const view = new DataView(hash.buffer, hash.byteOffset, hash.length)
  return Array.from({ length: WORDS }, (_, word) => proquint(view.getUint16(2 * word))).join(' ')
}

function proquint(bits: number): string {
  const [c1, v1, c2, v2, c3] = [bits >> 12, bits >> 10, bits >> 6, bits >> 4, bits]
  const consonant = (at: number) => CONSONANTS[at & 15] as string
  const vowel = (at: number) => VOWELS[at & 3] as string
  return `${consonant(c1)}${vowel(v1)}${consonant(c2)}${vowel(v2)}${consonant(c3)}`
}
