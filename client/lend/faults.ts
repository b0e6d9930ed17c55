import type { NodeId } from '#protocol/ids.ts'

/** The coordinator says that it has another key than the one that is pinned, or that the person was given. */
export class CoordinatorChanged extends Error {
  override name = 'CoordinatorChanged'
  constructor(due: NodeId, served: NodeId) {
    super(`${due} is due, and it says that it is ${served}`)
  }
}

/** Another tab has the key and the journal, of which there is one writer. */
export class LendsElsewhere extends Error {
  override name = 'LendsElsewhere'
}

/** A file that was to be picked is not: for the person, at its field. */
export class NotPicked extends Error {
  override name = 'NotPicked'
  readonly field: HTMLInputElement
  constructor(field: HTMLInputElement, what: string) {
    super(`pick ${what}, or train on public data`)
    this.field = field
  }
}
