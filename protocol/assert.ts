/** A broken invariant: our own mistake. The process that sees one stops; nobody catches it to go on. */
export class BrokenInvariant extends Error {
  override name = 'BrokenInvariant'
}

export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new BrokenInvariant(invariant)
}

/** For the end of an exhaustive switch: the compiler proves that this is never reached. */
export function unreachable(value: never): never {
  throw new BrokenInvariant(`unreachable: ${JSON.stringify(value)}`)
}
