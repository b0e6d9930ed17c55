import { assert } from '#protocol/assert.ts'
import type { SessionEntry } from './journal.ts'
import type { Utterance, Word } from './words.ts'

type Kind = Utterance['kind']
type Prepared = {
  readonly words: readonly Word[]
  readonly entries: readonly SessionEntry[]
  kept: boolean
  times: number
}

/**
 * One member's voice in one session. What it is about to say is kept first, and then sent; asked again, it says the same
 * blocks in a new frame, and signs nothing twice.
 */
export class Speech {
  readonly #keep: (entries: readonly SessionEntry[]) => Promise<void>
  readonly #send: (word: Word) => Promise<void>
  readonly #over: AbortSignal
  readonly #prepared = new Map<Kind, Prepared>()

  /** @param over from then on nothing is sent: what was signed and not sent by then never will be */
  constructor(
    keep: (entries: readonly SessionEntry[]) => Promise<void>,
    send: (word: Word) => Promise<void>,
    over: AbortSignal,
  ) {
    this.#keep = keep
    this.#send = send
    this.#over = over
  }

  /** @param entries what is kept before the words are sent: messages as they were signed, and what goes with them */
  prepare(words: readonly Word[], entries: readonly SessionEntry[]): void {
    const [first] = words
    assert(first, 'something is said')
    this.#prepared.set(first.utterance.kind, { words, entries, kept: entries.length === 0, times: 0 })
  }

  has(kind: Kind): boolean {
    return this.#prepared.has(kind)
  }

  async keep(kind: Kind): Promise<void> {
    const prepared = this.#find(kind)
    if (prepared.kept) return
    await this.#keep(prepared.entries)
    prepared.kept = true
  }

  async say(kind: Kind): Promise<void> {
    await this.keep(kind)
    const prepared = this.#find(kind)
    prepared.times++
    for (const word of prepared.words) if (!this.#over.aborted) await this.#send(word)
  }

  /** Said again, it may be refused: it was heard the first time. */
  hasRepeated(kind: string): boolean {
    return (this.#prepared.get(kind as Kind)?.times ?? 0) > 1
  }

  #find(kind: Kind): Prepared {
    const prepared = this.#prepared.get(kind)
    assert(prepared, 'only what was prepared is said')
    return prepared
  }
}
