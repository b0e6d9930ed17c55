import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { hmacSha256, sha256 } from '#crypto'
import { equalSecret, toHex, utf8 } from '#protocol/bytes.ts'
import { bytesField, millisField, nameField } from '#protocol/codec.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import { shareOf } from '#protocol/places.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'
import { type Once, Onces, onceField } from './once.ts'

/** Keys that may be used, at a time, of which a federation has its share. */
const KEYS_MAX = 1000
/** Entries of the stream, after which no key is made any more; one can always be revoked. The stream is read whole at a start. */
const KEY_EVENTS_MAX = 100_000
/** Of these so many may say that a key was used: what is left is for keys that are made. */
const USED_EVENTS_MAX = KEY_EVENTS_MAX / 2
/** Keys that one federation may ever have: each is two entries. */
const KEYS_EVER_EACH = 10_000
const KEY_ENTRY_BYTES_MAX = 4096
/** When a key was used last is remembered to the day: every use would be an entry. */
const USED_MILLIS: Millis = 86_400_000

const idField = z.string().regex(/^key_[0-9A-HJKMNP-TV-Z]{26}$/)
const wantedSchema = z.strictObject({
  name: nameField,
  /** As they were asked for: a later version may know others, and still reads this. */
  scopes: z.array(z.string().max(40)).max(64).readonly(),
  federation: z.string().max(64).nullable(),
  expiresAt: millisField.nullable(),
})
const keyEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('created'),
    id: idField,
    at: millisField,
    /** SHA-256 of the key: nobody who reads the log can use it. */
    hash: bytesField(32),
    once: onceField.nullable(),
    ...wantedSchema.shape,
  }),
  z.strictObject({ kind: z.literal('revoked'), id: idField, at: millisField }),
  z.strictObject({ kind: z.literal('used'), id: idField, at: millisField }),
])
type KeyEvent = z.output<typeof keyEventSchema>
export type WantedKey = z.output<typeof wantedSchema>

export type ApiKey = WantedKey & {
  readonly id: string
  readonly hash: Bytes
  readonly createdAt: Millis
  readonly revokedAt: Millis | null
  readonly usedAt: Millis | null
}
/** A key as it is shown once: `text` is the secret. */
export type MadeKey = { readonly key: ApiKey; readonly text: string; readonly isReplayed: boolean }
type KeyRefusal = 'key-reused' | 'expired' | 'too-many-keys'
type State = { readonly keys: Map<string, ApiKey>; readonly onces: Onces }

/** The keys of the API, whichever process made or revoked them. The root's is none of them: it is a file of the coordinator's. */
export class ApiKeys {
  readonly #doors: ApiKeysDoors
  readonly #state: State = { keys: new Map(), onces: new Onces() }
  readonly #chronicle: Chronicle<KeyEvent, State>

  constructor(doors: ApiKeysDoors) {
    this.#doors = doors
    this.#chronicle = new Chronicle<KeyEvent, State>({
      ...{ log: doors.log, stream: 'api-keys', schema: keyEventSchema, entryBytesMax: KEY_ENTRY_BYTES_MAX },
      ...{ state: this.#state, step },
    })
  }

  /** Those that it is true of, in the order in which they were made. */
  select(matches: (key: ApiKey) => boolean): Promise<readonly ApiKey[]> {
    return this.#chronicle.read(({ keys }) => [...keys.values()].filter(matches))
  }

  get(id: string): Promise<ApiKey | undefined> {
    return this.#chronicle.read(({ keys }) => keys.get(id))
  }

  /** What this process knows of it already: good for telling who may cost the log a look, and for nothing else. */
  remembered(id: string): ApiKey | undefined {
    return this.#state.keys.get(id)
  }

  create(wanted: WantedKey, once: Once | null): Promise<Result<MadeKey, KeyRefusal>> {
    const { clock, newKeyId } = this.#doors
    const id = newKeyId()
    const text = this.#textOf(id)
    return this.#chronicle.write<Result<MadeKey, KeyRefusal>>(({ keys, onces }, position) => {
      const none = (answer: Result<MadeKey, KeyRefusal>) => ({ events: [], answer })
      const made = onces.madeBy(once)
      if (made === 'reused') return none(refuse('key-reused'))
      const key = made && keys.get(made.id)
      if (key) return none(accept({ key, text: this.#textOf(key.id), isReplayed: true }))
      const at = clock.now()
      if (wanted.expiresAt !== null && wanted.expiresAt <= at) return none(refuse('expired'))
      const usable = [...keys.values()].filter((one) => isUsable(one, at))
      if (usable.length >= KEYS_MAX) return none(refuse('too-many-keys', `there are ${KEYS_MAX} keys: revoke some`))
      if (wanted.federation !== null) {
        const isOwn = ({ federation }: ApiKey) => federation === wanted.federation
        const own = usable.filter(isOwn).length
        if (own >= shareOf(KEYS_MAX))
          return none(refuse('too-many-keys', `there are ${own} keys of this federation: revoke some`))
        if ([...keys.values()].filter(isOwn).length >= KEYS_EVER_EACH)
          return none(refuse('too-many-keys', `this federation has had ${KEYS_EVER_EACH} keys`))
      }
      if (position >= KEY_EVENTS_MAX) return none(refuse('too-many-keys', 'the list of all keys ever made is full'))
      const created = { kind: 'created' as const, id, at, hash: sha256(utf8(text)), once, ...wanted }
      return { events: [created], answer: accept({ key: keyOf(created), text, isReplayed: false }) }
    })
  }

  /**
   * @param may judges the key as it stands
   * @returns the key as it is then; undefined where there is none; `stale` where it may not
   */
  revoke(id: string, may: (key: ApiKey) => boolean): Promise<ApiKey | 'stale' | undefined> {
    const at = this.#doors.clock.now()
    return this.#chronicle.write<ApiKey | 'stale' | undefined>(({ keys }) => {
      const key = keys.get(id)
      if (!key || key.revokedAt !== null) return { events: [], answer: key }
      if (!may(key)) return { events: [], answer: 'stale' }
      return { events: [{ kind: 'revoked', id, at }], answer: { ...key, revokedAt: at } }
    })
  }

  /** Says that a key was used, once a day. */
  async use({ id, usedAt }: ApiKey): Promise<void> {
    const at = this.#doors.clock.now()
    if (usedAt !== null && at - usedAt < USED_MILLIS) return
    await this.#chronicle.write(({ keys }, position) => {
      const last = keys.get(id)?.usedAt ?? null
      const isNews = (last === null || at - last >= USED_MILLIS) && position < USED_EVENTS_MAX
      return { events: isNews ? [{ kind: 'used', id, at }] : [], answer: undefined }
    })
  }

  /**
   * The secret comes from the key's id and a secret of the coordinator's, so that a repeat of the request that made it can be
   * answered what the first one was, and nothing is kept from which it could be read.
   */
  #textOf(id: string): string {
    const secret = toHex(hmacSha256(this.#doors.secret, utf8(`api key ${id}`)).subarray(0, 24))
    const body = `ck_live_${id}_${secret}`
    return `${body}${checksumOf(body)}`
  }
}

export type ApiKeysDoors = {
  readonly log: EventLog
  readonly clock: Clock
  readonly newKeyId: () => string
  /** The coordinator's: {@link accessKey}. */
  readonly secret: Bytes
}

/** Which key a text says that it is; undefined where it is none, or was not copied whole. */
export function keyIdIn(text: string): string | undefined {
  const parts = /^(ck_live_(key_[0-9A-HJKMNP-TV-Z]{26})_[0-9a-f]{48})([0-9a-f]{8})$/.exec(text)
  return parts && checksumOf(parts[1] as string) === parts[3] ? parts[2] : undefined
}

export function isTextOf(text: string, { hash }: Pick<ApiKey, 'hash'>): boolean {
  return equalSecret(sha256(utf8(text)), hash)
}

export function isUsable({ revokedAt, expiresAt }: ApiKey, now: Millis): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt)
}

/** Whoever finds a key in a place where none should be can tell it from other text without asking us. */
function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

function step({ keys, onces }: State, event: KeyEvent): void {
  if (event.kind === 'created') {
    keys.set(event.id, keyOf(event))
    return onces.note(event.once, event.id)
  }
  const key = keys.get(event.id)
  if (!key) return
  keys.set(event.id, { ...key, ...(event.kind === 'revoked' ? { revokedAt: event.at } : { usedAt: event.at }) })
}

function keyOf({ kind: _, once: _once, at, ...key }: Extract<KeyEvent, { kind: 'created' }>): ApiKey {
  return { ...key, createdAt: at, revokedAt: null, usedAt: null }
}
