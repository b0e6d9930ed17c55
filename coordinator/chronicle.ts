import type { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import { decode, encode } from '#protocol/codec.ts'
import type { EventLog } from '#protocol/ports.ts'

/**
 * One stream of the log that every process writes, and what its entries amount to. Whoever reads or writes hears first what
 * the others have written, so what one process answered no other one contradicts.
 */
export class Chronicle<Event, State> {
  readonly #doors: ChronicleDoors<Event, State>
  /** Of the entries that are taken into the state. */
  #position = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(doors: ChronicleDoors<Event, State>) {
    this.#doors = doors
  }

  /** What `look` sees in the state as it is now. */
  read<T>(look: (state: State) => T): Promise<T> {
    return this.#inTurn(async () => {
      await this.#hear()
      return look(this.#doors.state)
    })
  }

  /**
   * Appends what `judge` makes of the state, all or nothing; where another process was faster it judges again.
   *
   * @param judge also told how many entries there are
   */
  write<T>(judge: (state: State, position: number) => Judgement<Event, T>): Promise<T> {
    const { log, stream, schema, state, step, entryBytesMax } = this.#doors
    return this.#inTurn(async () => {
      for (;;) {
        await this.#hear()
        const { events, answer } = judge(state, this.#position)
        if (events.length === 0) return answer
        const entries = events.map((event) => encode(schema, event))
        assert(
          entries.every(({ length }) => length <= entryBytesMax),
          'what becomes an entry is bounded before',
        )
        if ((await log.append(stream, this.#position, entries)) === 'conflict') continue
        for (const event of events) step(state, event)
        this.#position += events.length
        return answer
      }
    })
  }

  async #hear(): Promise<void> {
    const { log, stream, schema, state, step, entryBytesMax } = this.#doors
    for await (const entry of log.read(stream, this.#position)) {
      const event = decode(schema, entry, entryBytesMax)
      if (!event.ok) throw new Error(`${stream} holds an entry that cannot be read: ${event.refusal}`)
      step(state, event.value)
      this.#position++
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

export type Judgement<Event, T> = { readonly events: readonly Event[]; readonly answer: T }

export type ChronicleDoors<Event, State> = {
  readonly log: EventLog
  readonly stream: string
  readonly schema: z.ZodType<Event>
  readonly entryBytesMax: number
  /** What there is before the first entry; changed by `step`, and read by whoever is shown it, only while it is shown. */
  readonly state: State
  readonly step: (state: State, event: Event) => void
}
