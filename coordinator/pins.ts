import { z } from 'zod'
import { encode, millisField, reasonField } from '#protocol/codec.ts'
import type { Millis } from '#protocol/ids.ts'
import {
  canonicalCid,
  PIN_ADDRESS_CHARS_MAX,
  PIN_ADDRESSES_MAX,
  PIN_CID_CHARS_MAX,
  PIN_NAME_CHARS_MAX,
} from '#protocol/pinning.ts'
import type { Clock, EventLog, PinStatus } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'

/** Pins at a time: a look through all of them takes milliseconds. */
const PINS_MAX = 10_000
/** Entries of the stream, after which nothing is pinned any more: it is read whole at a start. */
const PIN_EVENTS_MAX = 500_000
/** One entry: the name, twenty origins, and what is left for notes. */
const PIN_ENTRY_BYTES_MAX = 16_384

/** Whatever somebody asks to be pinned, as it was given: nothing in it is ever followed but the CID and the origins. */
export const pinFields = {
  /** In whatever spelling. */
  cid: z
    .string()
    .max(PIN_CID_CHARS_MAX)
    .refine((text) => canonicalCid(text) !== undefined, 'is not a CID'),
  name: z.string().max(PIN_NAME_CHARS_MAX).refine(isUnicode, 'is not Unicode'),
  origins: z
    .array(z.string().max(PIN_ADDRESS_CHARS_MAX).refine(isUnicode, 'is not Unicode'))
    .max(PIN_ADDRESSES_MAX)
    .readonly(),
  meta: z.record(z.string().refine(isUnicode, 'is not Unicode'), z.string().refine(isUnicode, 'is not Unicode')),
}

const idField = z.string().min(1).max(100)
const bodySchema = z.strictObject({ ...pinFields, name: pinFields.name.nullable() })
const pinEventSchema = z.discriminatedUnion('kind', [
  /** `created` is its place in time, which it shares with no other pin. */
  z.strictObject({ kind: z.literal('added'), id: idField, created: millisField, ...bodySchema.shape }),
  z.strictObject({ kind: z.literal('removed'), id: idField }),
  z.strictObject({
    kind: z.literal('marked'),
    id: idField,
    status: z.enum(['pinning', 'pinned', 'failed']),
    reason: reasonField.nullable(),
  }),
])
type PinEvent = z.output<typeof pinEventSchema>
type PinBody = z.output<typeof bodySchema>

export type StoredPin = PinBody & {
  readonly id: string
  readonly created: Millis
  readonly status: PinStatus
  /** Why it failed. */
  readonly reason: string | null
}

export type PinRefusal = 'no-pin' | 'too-many' | 'too-large'
type State = { readonly pins: Map<string, StoredPin>; lastCreated: Millis }

/** What others have asked this coordinator to pin, whichever of its processes they asked: each request, and its fate. */
export class Pins {
  readonly #doors: PinsDoors
  readonly #chronicle: Chronicle<PinEvent, State>

  constructor(doors: PinsDoors) {
    this.#doors = doors
    this.#chronicle = new Chronicle<PinEvent, State>({
      ...{ log: doors.log, stream: 'pins', schema: pinEventSchema, entryBytesMax: PIN_ENTRY_BYTES_MAX },
      ...{ state: { pins: new Map(), lastCreated: 0 }, step },
    })
  }

  /** Those that it is true of, the newest first. */
  select(matches: (pin: StoredPin) => boolean): Promise<readonly StoredPin[]> {
    return this.#chronicle.read(({ pins }) => [...pins.values()].filter(matches).reverse())
  }

  get(id: string): Promise<StoredPin | undefined> {
    return this.#chronicle.read(({ pins }) => pins.get(id))
  }

  /** @param replaced a pin that is gone once this one is there, and not before */
  async add(body: PinBody, replaced?: string): Promise<Result<StoredPin, PinRefusal>> {
    const id = this.#doors.newPinId()
    const size = encode(pinEventSchema, { kind: 'added', id, created: Number.MAX_SAFE_INTEGER, ...body }).length
    if (size > PIN_ENTRY_BYTES_MAX)
      return refuse('too-large', `a pin is at most ${PIN_ENTRY_BYTES_MAX} bytes with its name, origins and meta`)
    return this.#chronicle.write<Result<StoredPin, PinRefusal>>(({ pins, lastCreated }, position) => {
      const none = (refusal: PinRefusal, detail?: string) => ({ events: [], answer: refuse(refusal, detail) })
      if (replaced !== undefined && !pins.has(replaced)) return none('no-pin')
      if (replaced === undefined && pins.size >= PINS_MAX) return none('too-many', `there are ${PINS_MAX} pins`)
      if (position >= PIN_EVENTS_MAX) return none('too-many', 'the list of what was ever pinned is full')
      const created = Math.max(this.#doors.clock.now(), lastCreated + 1)
      const added = { kind: 'added' as const, id, created, ...body }
      const events: readonly PinEvent[] = replaced === undefined ? [added] : [{ kind: 'removed', id: replaced }, added]
      return { events, answer: accept(pinOf(added)) }
    })
  }

  /** @returns whether it was there */
  remove(id: string): Promise<boolean> {
    return this.#chronicle.write(({ pins }) =>
      pins.has(id) ? { events: [{ kind: 'removed', id }], answer: true } : { events: [], answer: false },
    )
  }

  /** What became of a pin that is not settled yet; of any other it changes nothing. */
  async mark(id: string, status: Exclude<PinStatus, 'queued'>, reason: string | null = null): Promise<void> {
    await this.#chronicle.write(({ pins }) => {
      const pin = pins.get(id)
      const moves = pin !== undefined && isOpen(pin) && pin.status !== status
      return { events: moves ? [{ kind: 'marked', id, status, reason }] : [], answer: undefined }
    })
  }
}

export type PinsDoors = {
  readonly log: EventLog
  readonly clock: Clock
  readonly newPinId: () => string
}

/** Whether something can become of it yet. */
export function isOpen({ status }: Pick<StoredPin, 'status'>): boolean {
  return status === 'queued' || status === 'pinning'
}

function step(state: State, event: PinEvent): void {
  switch (event.kind) {
    case 'added':
      state.lastCreated = event.created
      return void state.pins.set(event.id, pinOf(event))
    case 'removed':
      return void state.pins.delete(event.id)
    case 'marked': {
      const pin = state.pins.get(event.id)
      if (pin) state.pins.set(event.id, { ...pin, status: event.status, reason: event.reason })
    }
  }
}

function pinOf({ kind: _, ...pin }: Extract<PinEvent, { kind: 'added' }>): StoredPin {
  return { ...pin, status: 'queued', reason: null }
}

function isUnicode(text: string): boolean {
  return text.isWellFormed()
}
