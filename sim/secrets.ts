import { hkdfSha256, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'

/** Session secrets that a name gives again, so that a simulated session is the same session twice. */
export function secretsOf(name: string): (lengthBytes: number) => Uint8Array {
  const secret = sha256(utf8(`sim chance ${name}`))
  let drawn = 0
  return (lengthBytes) => hkdfSha256(secret, new Uint8Array(0), utf8(String(drawn++)), lengthBytes)
}
