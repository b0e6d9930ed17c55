import type { Bytes } from './ids.ts'

export function concat(...parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/**
 * Memory of its own. A Buffer's own `slice` is no copy: it shows the same memory, and keeps the whole of a pool that it is a
 * little part of.
 */
export function copyOf(bytes: Bytes): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

/** The bytes as they are where nothing else lies in their memory, else a {@link copyOf} them. To keep, or to give away. */
export function ownOf(bytes: Bytes): Bytes {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : copyOf(bytes)
}

/** Not constant-time: for public values. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false
  // A plain loop: this looks at every byte of every frame, and a call a byte would be most of what it costs.
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

/** Bytewise: below 0 where the first comes first. Of two of one length. */
export function compareBytes(a: Bytes, b: Bytes): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] as number) - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** For secrets and MACs: the time it takes does not depend on where the two differ. */
export function equalSecret(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] as number)
  return difference === 0
}

export function toHex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** @param text an even number of hexadecimal digits */
export function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text)
}

/** The whole of a stream, refused past the limit. */
export async function collect(source: AsyncIterable<Bytes>, limitBytes: number): Promise<Bytes> {
  const parts: Bytes[] = []
  let length = 0
  for await (const part of source) {
    length += part.length
    if (length > limitBytes) throw new RangeError(`more than ${limitBytes} bytes`)
    parts.push(part)
  }
  return parts.length === 1 ? (parts[0] as Bytes) : concat(...parts)
}

/** Bytes as a stream of one piece. */
export async function* once(bytes: Bytes): AsyncIterable<Bytes> {
  yield bytes
}
