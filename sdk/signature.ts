/** @property key 32 bytes @property signature 64 bytes */
export type Signature = {
  readonly key: Uint8Array<ArrayBuffer>
  readonly signature: Uint8Array<ArrayBuffer>
  readonly message: Uint8Array<ArrayBuffer>
}

/** Ed25519 (RFC 8032), as Node and browsers of 2025 have it. */
export async function verifyEd25519({ key, signature, message }: Signature): Promise<boolean> {
  const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify'])
  return crypto.subtle.verify('Ed25519', imported, signature, message)
}

/** multicodec ed25519-pub, as a varint. */
const ED25519_PUB = [0xed, 0x01] as const
const LETTERS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** A key as people read it: `z6Mk…`, multibase base58. Its first byte is never zero, which would need a letter of its own. */
export function keyText(key: Uint8Array): string {
  let value = [...ED25519_PUB, ...key].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  let text = ''
  for (; value > 0n; value /= 58n) text = `${LETTERS[Number(value % 58n)]}${text}`
  return `z${text}`
}
