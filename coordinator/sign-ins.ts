import { hmacSha256, randomBytes } from '#crypto'
import { concat, equalSecret, fromHex, toHex, utf8 } from '#protocol/bytes.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'

/** A working day: a browser that is left open is signed out overnight. */
export const SIGNED_IN_MILLIS: Millis = 12 * 3_600_000

/** What a cookie says before anybody has looked whether it is ours. */
export type SignIn = {
  readonly key: string
  readonly until: Millis
  /** No other one of this key has it. */
  readonly session: string
  readonly body: string
  readonly mac: Bytes
}

/**
 * A browser that is signed in holds a cookie that names a key and is sealed with a secret of the coordinator's and the key's
 * hash: every process can check it, none keeps anything of it, and it ends with its key, also with a root key that was
 * replaced. Those that are ended before that are remembered for as long as they would have lasted: {@link SignOuts}.
 */
export class SignIns {
  readonly #secret: Bytes

  /** @param secret the coordinator's: {@link accessKey} */
  constructor(secret: Bytes) {
    this.#secret = secret
  }

  /** @returns the cookie's value */
  begin(key: string, hash: Bytes, now: Millis): string {
    const body = `${key}.${now + SIGNED_IN_MILLIS}.${toHex(randomBytes(16))}`
    return `${body}.${toHex(this.#mac(body, hash))}`
  }

  isOf({ until, body, mac }: SignIn, hash: Bytes, now: Millis): boolean {
    return now < until && equalSecret(mac, this.#mac(body, hash))
  }

  /** What a page sends beside the cookie: other sites can make a browser send the cookie, and cannot read this. */
  tokenOf({ body }: SignIn): string {
    return toHex(hmacSha256(this.#secret, utf8(`csrf ${body}`)))
  }

  hasToken(signIn: SignIn, token: string | undefined): boolean {
    return token !== undefined && equalSecret(utf8(token), utf8(this.tokenOf(signIn)))
  }

  #mac(body: string, hash: Bytes): Bytes {
    return hmacSha256(this.#secret, concat(utf8(`sign-in ${body} `), hash))
  }
}

export function readSignIn(cookie: string): SignIn | undefined {
  const parts = /^((root|key_[0-9A-HJKMNP-TV-Z]{26})\.(\d{1,16})\.([0-9a-f]{32}))\.([0-9a-f]{64})$/.exec(cookie)
  if (!parts) return undefined
  const [, body, key, until, session, mac] = parts as unknown as readonly [
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  return { key, until: Number(until), session, body, mac: fromHex(mac) }
}
