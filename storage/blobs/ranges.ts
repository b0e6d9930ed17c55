/** Bytes `first` to `last`, both included, as HTTP counts them. */
export type Span = { readonly first: number; readonly last: number }

/**
 * What a Range header asks of `sizeBytes` bytes, RFC 9110 section 14: a span; `unsatisfiable` (416) when it lies beyond
 * the end; `whole` when there is none, when it is malformed or of another unit, and for several ranges, which a server may
 * answer with the whole: nobody can make it send one byte a thousand times.
 */
export function spanOf(header: string | undefined, sizeBytes: number): Span | 'whole' | 'unsatisfiable' {
  const [, from, to] = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? '') ?? []
  if (from === undefined || to === undefined || (from === '' && to === '')) return 'whole'
  if (from === '') {
    const length = Math.min(Number(to), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 }
  }
  const first = Number(from)
  const last = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1)
  if (to !== '' && Number(to) < first) return 'whole'
  return first < sizeBytes ? { first, last } : 'unsatisfiable'
}
