import fc from 'fast-check'
import { cidOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import { type Bytes, nodeIdOf, parseRunId, type RunId } from '#protocol/ids.ts'
import { COHORT_MAX, COMPLAINTS_MAX, PARCEL_PARTS_MAX, PHASE_MILLIS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import type { ClientMessage, CoordinatorMessage } from '#protocol/messages.ts'

/** Values as the protocol may meet them, for properties. */
export const bytesOf = (length: number): fc.Arbitrary<Bytes> => fc.uint8Array({ minLength: length, maxLength: length })
const upTo = (max: number, min = 0): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max: Math.min(max, 2 ** 31 - 1) }), fc.constantFrom(min, max))

export const nodeIds = bytesOf(32).map(nodeIdOf)
export const cids = fc
  .tuple(fc.constantFrom(RAW, DAG_PB, DAG_CBOR), fc.uint8Array({ maxLength: 8 }))
  .map(([codec, block]) => cidOf(codec, block))
export const runIds: fc.Arbitrary<RunId> = fc
  .tuple(fc.constantFrom(...'01234567'), fc.stringMatching(/^[0-9A-HJKMNP-TV-Z]{25}$/))
  .map(([first, rest]) => {
    const run = parseRunId(`run_${first}${rest}`)
    if (!run.ok) throw new Error(run.detail)
    return run.value
  })

const reasonName = fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/)
const reason = fc.string({ maxLength: 60, unit: 'grapheme' }).filter((text) => text.length <= 200)
const about = { run: runIds, round: upTo(ROUNDS_MAX, 1) }
const said = { to: nodeIds, seq: upTo(Number.MAX_SAFE_INTEGER) }
const kind = <const K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name)
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value)
const parcel = { parcel: cids, part: upTo(PARCEL_PARTS_MAX - 1), parts: upTo(PARCEL_PARTS_MAX, 1) }
const complaints = fc.array(cids, { minLength: 1, maxLength: COMPLAINTS_MAX })

export const clientMessages: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({ kind: kind('hello'), ...said, nonce: bytesOf(32), version: fc.constant(1 as const) }),
  fc.record({ kind: kind('join'), ...said, ...about, advert: orNull(cids) }),
  fc.record({ kind: kind('decline'), ...said, ...about, reason: reasonName }),
  fc.record({
    kind: kind('report'),
    ...said,
    ...about,
    seat: upTo(COHORT_MAX),
    plan: cids,
    model: cids,
    vector: cids,
    sizeBytes: upTo(Number.MAX_SAFE_INTEGER),
    lanes: upTo(2 ** 31),
    trainMillis: upTo(PHASE_MILLIS_MAX),
  }),
  fc.record({ kind: kind('deal'), ...said, ...about, keys: cids, ...parcel }),
  fc.record({ kind: kind('agree'), ...said, ...about, shared: cids }),
  fc.record({ kind: kind('object'), ...said, ...about, shared: cids, complaints }),
  fc.record({
    ...{ kind: kind('submit'), ...said, ...about, input: cids, vector: cids },
    trainMillis: upTo(PHASE_MILLIS_MAX),
  }),
  fc.record({ kind: kind('confirm'), ...said, ...about, confirm: cids }),
  fc.record({ kind: kind('unmask'), ...said, ...about, unmask: cids }),
  fc.record({ kind: kind('abandon'), ...said, ...about, abandon: cids }),
  fc.record({ kind: kind('leave'), ...said, ...about, reason: reasonName }),
)

export const coordinatorMessages: fc.Arbitrary<CoordinatorMessage> = fc.oneof(
  fc.record({ kind: kind('challenge'), nonce: bytesOf(32) }),
  fc.record({ kind: kind('invite'), ...about, plan: cids, closesAt: upTo(Number.MAX_SAFE_INTEGER) }),
  fc.record({
    kind: kind('seated'),
    ...about,
    plan: cids,
    seat: upTo(COHORT_MAX),
    endsAt: upTo(Number.MAX_SAFE_INTEGER),
    ticket: fc.string({ maxLength: 200 }),
    roster: orNull(cids),
  }),
  fc.record({ kind: kind('blocks'), ...about }),
  fc.record({ kind: kind('shared'), ...about, shared: cids, ...parcel }),
  fc.record({ kind: kind('mask'), ...about, shared: cids }),
  fc.record({ kind: kind('survivors'), ...about, survivors: cids }),
  fc.record({ kind: kind('certificate'), ...about, survivors: cids, certificate: cids }),
  fc.record({
    kind: kind('refused'),
    ...about,
    of: fc.string({ maxLength: 32 }),
    refusal: fc.string({ maxLength: 64 }),
    detail: reason,
  }),
  fc.record({
    ...{ kind: kind('receipt'), v: fc.constant(1 as const), ...about, seat: upTo(COHORT_MAX), node: nodeIds },
    ...{ update: cids, manifest: cids, amount: fc.bigInt({ min: 0n, max: 10n ** 29n }) },
  }),
  fc.record({
    kind: kind('ended'),
    ...about,
    outcome: fc.constantFrom('closed', 'aborted', 'not-selected'),
    reason,
  }),
)
