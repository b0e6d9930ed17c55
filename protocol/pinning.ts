import { CID } from 'multiformats/cid'

/** What the IPFS Pinning Service API 1.0.0 bounds, and what it leaves open, for both of its sides. */

/** Characters of a pin's name. */
export const PIN_NAME_CHARS_MAX = 255
/** Origins of a pin, and delegates of a service. */
export const PIN_ADDRESSES_MAX = 20
/** CIDs of one question. */
export const PIN_CIDS_MAX = 10
/** Pins of one answer, and how many where nothing is said. */
export const PIN_PAGE_MAX = 1000
export const PIN_PAGE = 10
/** Notes of one pin. */
export const PIN_NOTES_MAX = 1000
/** Left open: a CID of any base and hash, and a multiaddr with a peer's key and a relay's. */
export const PIN_CID_CHARS_MAX = 256
export const PIN_ADDRESS_CHARS_MAX = 512

/**
 * The one spelling of a CID, so that two of them can be compared: version 1 in base32. Undefined for what is none. Any hash
 * and codec; whether it can be one of ours is for `parseCid` to say.
 */
export function canonicalCid(text: string): string | undefined {
  if (text.length > PIN_CID_CHARS_MAX) return undefined
  try {
    return CID.parse(text).toV1().toString()
  } catch {
    return undefined
  }
}
