import { copyOf } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { readFrom, write } from './database.ts'

type Sealed = { readonly sealer: CryptoKey; readonly nonce: Bytes; readonly sealed: Bytes }

/**
 * A page's 32-byte secret, made on its first visit. It lies in the database sealed by AES-GCM under a key that no script can
 * take out of the browser, this page's own neither: a copy of the database's files is of no use elsewhere.
 *
 * It is no WebCrypto Ed25519 key, though browsers have those by now: what signs is synchronous throughout the client, which
 * WebCrypto is not, and the same 32 bytes are the root of the node's private randomness (shuffling, held-out rows, rounding),
 * which a key that only signs cannot be.
 *
 * Of one tab at a time: two that start at once would make two.
 */
export async function openSealedSecret(database: IDBDatabase, name: string, make: () => Bytes): Promise<Bytes> {
  const known = await readFrom<Sealed | undefined>(database, 'settings', (settings) => settings.get(name))
  if (known) return openSealed(known)
  const secret = make()
  const sealer = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
  // The first and only one under this key.
  const nonce = crypto.getRandomValues(new Uint8Array(12))
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, sealer, copyOf(secret)))
  await write(database, ['settings'], async (open) => {
    open('settings').add({ sealer, nonce, sealed } satisfies Sealed, name)
  })
  return secret
}

async function openSealed({ sealer, nonce, sealed }: Sealed): Promise<Bytes> {
  const algorithm = { name: 'AES-GCM', iv: copyOf(nonce) }
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, sealer, copyOf(sealed)))
}
