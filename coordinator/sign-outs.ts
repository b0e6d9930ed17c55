import { z } from 'zod'
import { millisField } from '#protocol/codec.ts'
import type { Millis } from '#protocol/ids.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { Chronicle } from './chronicle.ts'
import { SIGNED_IN_MILLIS, type SignIn } from './sign-ins.ts'

const ENTRY_BYTES_MAX = 512
/** Sessions of one key that are ended one by one, of those that would have ended in the same half day by themselves. */
const ENDED_EACH_MAX = 64

const keyField = z.string().max(64)
const endedSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ended'), at: millisField, key: keyField, session: z.string().max(64) }),
  /** All of a key's that had begun by then. */
  z.strictObject({ kind: z.literal('all-ended'), at: millisField, key: keyField }),
])
type EndedEvent = z.output<typeof endedSchema>
/** By key. */
type State = Map<string, { readonly sessions: Set<string>; all: Millis }>

/**
 * Sessions that were ended before their time, at whichever process. A session is looked for among those that would have ended
 * by themselves in the same half day, each of which has a stream of its own: one that is past is forgotten, here and by
 * whoever starts. A key that ends more sessions than are remembered one by one ends all that it has.
 */
export class SignOuts {
  readonly #doors: { readonly log: EventLog; readonly clock: Clock }
  readonly #halfDays = new Map<number, HalfDay>()

  constructor(doors: { readonly log: EventLog; readonly clock: Clock }) {
    this.#doors = doors
  }

  /**
   * Durable when it answers.
   *
   * @param signIn one that was found to be ours, here as elsewhere: others may say that they last for ever
   */
  end(signIn: SignIn): Promise<void> {
    const at = this.#doors.clock.now()
    const { key, session } = signIn
    return this.#halfDayOf(signIn).chronicle.write((state) => {
      const ended = state.get(key)
      if (isEnded(state, signIn)) return { events: [], answer: undefined }
      const one = (ended?.sessions.size ?? 0) < ENDED_EACH_MAX
      return { events: [one ? { kind: 'ended', at, key, session } : { kind: 'all-ended', at, key }], answer: undefined }
    })
  }

  isEnded(signIn: SignIn): Promise<boolean> {
    return this.#halfDayOf(signIn).chronicle.read((state) => isEnded(state, signIn))
  }

  /** Whether this process knows so already: good for telling who may cost the log a look, and for nothing else. */
  knowsEnded(signIn: SignIn): boolean {
    const halfDay = this.#halfDays.get(halfDayOf(signIn.until))
    return halfDay !== undefined && isEnded(halfDay.state, signIn)
  }

  #halfDayOf({ until }: SignIn): HalfDay {
    const wanted = halfDayOf(until)
    const now = halfDayOf(this.#doors.clock.now())
    for (const halfDay of this.#halfDays.keys()) if (halfDay < now) this.#halfDays.delete(halfDay)
    const known = this.#halfDays.get(wanted)
    if (known) return known
    const state: State = new Map()
    const chronicle = new Chronicle<EndedEvent, State>({
      ...{ log: this.#doors.log, stream: `sign-outs-${wanted}`, schema: endedSchema },
      ...{ entryBytesMax: ENTRY_BYTES_MAX, state, step },
    })
    this.#halfDays.set(wanted, { state, chronicle })
    return { state, chronicle }
  }
}

type HalfDay = { readonly state: State; readonly chronicle: Chronicle<EndedEvent, State> }

function halfDayOf(at: Millis): number {
  return Math.floor(at / SIGNED_IN_MILLIS)
}

function isEnded(state: State, { key, session, until }: SignIn): boolean {
  const ended = state.get(key)
  return ended !== undefined && (ended.sessions.has(session) || until - SIGNED_IN_MILLIS <= ended.all)
}

function step(state: State, event: EndedEvent): void {
  const ended = state.get(event.key) ?? { sessions: new Set(), all: Number.NEGATIVE_INFINITY }
  state.set(event.key, ended)
  if (event.kind === 'ended') ended.sessions.add(event.session)
  else ended.all = Math.max(ended.all, event.at)
}
