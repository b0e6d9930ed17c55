/** A delivery by its headers: `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks. */
export type Delivery = {
  readonly secret: string
  readonly headers: Headers | Readonly<Record<string, string | string[] | undefined>>
  /** As it came, byte for byte: what was parsed and written again is another text. */
  readonly body: string
  /** Unix milliseconds. */
  readonly now?: number
}

/** A delivery is good for so long before and after its time, so that nobody can repeat it later. */
const TOLERANCE_SECONDS = 300

/** Whether a delivery was signed with the endpoint's secret, lately. */
export async function verifySignature({ secret, headers, body, now = Date.now() }: Delivery): Promise<boolean> {
  const of = (name: string) => (headers instanceof Headers ? headers.get(name) : headers[name])
  const [id, at, signatures] = [of('webhook-id'), of('webhook-timestamp'), of('webhook-signature')]
  if (typeof id !== 'string' || typeof at !== 'string' || typeof signatures !== 'string') return false
  if (!/^\d{1,12}$/.test(at) || Math.abs(Number(at) - now / 1000) > TOLERANCE_SECONDS) return false
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const bytes = bytesOf(secret.replace(/^whsec_/, ''))
  if (!bytes || bytes.length === 0) return false
  const key = await crypto.subtle.importKey('raw', bytes, algorithm, false, ['verify'])
  const signed = new TextEncoder().encode(`${id}.${at}.${body}`)
  // Several while a secret is being changed; those of other versions are for others.
  for (const signature of signatures.split(' ').slice(0, 16)) {
    const given = signature.startsWith('v1,') && bytesOf(signature.slice('v1,'.length))
    if (given && (await crypto.subtle.verify('HMAC', key, given, signed))) return true
  }
  return false
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  } catch {
    return undefined
  }
}
