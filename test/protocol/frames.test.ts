import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, RAW } from '#protocol/cid.ts'
import { ATTACHED_EXTRA_BYTES, type Block, open, signerOf } from '#protocol/envelope.ts'
import type { Amount, Cid, RunId } from '#protocol/ids.ts'
import {
  ATTACHED_BLOCKS_MAX,
  ATTACHED_BYTES_MAX,
  COHORT_MAX,
  COMPLAINTS_MAX,
  FRAME_BYTES_MAX,
  NAME_CHARS_MAX,
  PARCEL_PARTS_MAX,
  PHASE_MILLIS_MAX,
  REASON_CHARS_MAX,
  ROUNDS_MAX,
  TICKET_CHARS_MAX,
} from '#protocol/limits.ts'
import {
  type ClientMessage,
  type CoordinatorMessage,
  readClientMessage,
  readCoordinatorMessage,
  say,
  sign,
} from '#protocol/messages.ts'
import { REFERENCE_MODEL_NAMES } from '#protocol/reference-models.ts'
import { REPETITIONS_MAX } from '#protocol/spot-check.ts'

const signer = signerOf(new Uint8Array(32).fill(7))
const cid = cidOf(DAG_CBOR, utf8('anything'))
const most = Number.MAX_SAFE_INTEGER
const about = { run: 'run_7ZZZZZZZZZZZZZZZZZZZZZZZZZ' as RunId, round: ROUNDS_MAX }
const said = { to: signer.id, seq: most, ...about }
const parcel = { parcel: cid, part: PARCEL_PARTS_MAX - 1, parts: PARCEL_PARTS_MAX }
const name = 'x'.repeat(32)
const reason = '漢'.repeat(REASON_CHARS_MAX)

/** Each message at its largest. A kind that is missing here does not compile. */
type Largest<M extends { readonly kind: string }> = { readonly [K in M['kind']]: Extract<M, { readonly kind: K }> }
const ofNodes: Largest<ClientMessage> = {
  hello: { kind: 'hello', to: signer.id, seq: most, nonce: new Uint8Array(32), version: 1 },
  join: { kind: 'join', ...said, advert: cid },
  decline: { kind: 'decline', ...said, reason: name },
  report: {
    ...{ kind: 'report', ...said, seat: COHORT_MAX, plan: cid, model: cid, vector: cid },
    ...{ sizeBytes: most, lanes: 2 ** 31, trainMillis: PHASE_MILLIS_MAX },
  },
  deal: { kind: 'deal', ...said, keys: cid, ...parcel },
  agree: { kind: 'agree', ...said, shared: cid },
  object: { kind: 'object', ...said, shared: cid, complaints: Array<Cid>(COMPLAINTS_MAX).fill(cid) },
  submit: { kind: 'submit', ...said, input: cid, vector: cid, trainMillis: PHASE_MILLIS_MAX },
  confirm: { kind: 'confirm', ...said, confirm: cid },
  unmask: { kind: 'unmask', ...said, unmask: cid },
  abandon: { kind: 'abandon', ...said, abandon: cid },
  leave: { kind: 'leave', ...said, reason: name },
  capability: {
    ...{ kind: 'capability', to: signer.id, seq: most, backend: name, adapter: '~'.repeat(NAME_CHARS_MAX) },
    ...{ software: true, deterministic: false, memoryBytes: most, version: name, population: 'hospital' },
    speeds: REFERENCE_MODEL_NAMES.map((model) => ({ model, milliSamplesPerSecond: 1e12, measuredAt: most })),
  },
  measured: {
    ...{ kind: 'measured', to: signer.id, seq: most, seed: new Uint8Array(32), curve: cid },
    trainMillis: PHASE_MILLIS_MAX,
  },
  busy: { kind: 'busy', to: signer.id, seq: most, seed: new Uint8Array(32) },
  dataset: { kind: 'dataset', to: signer.id, seq: most, dataset: cid },
  considered: {
    ...{ kind: 'considered', to: signer.id, seq: most, question: new Uint8Array(16), refusal: name },
    detail: reason,
  },
}
const ofCoordinators: Largest<CoordinatorMessage> = {
  challenge: { kind: 'challenge', nonce: new Uint8Array(32) },
  invite: { kind: 'invite', ...about, plan: cid, closesAt: most },
  seated: {
    ...{ kind: 'seated', ...about, plan: cid, seat: COHORT_MAX, endsAt: most },
    ...{ ticket: '漢'.repeat(TICKET_CHARS_MAX), roster: cid },
  },
  blocks: { kind: 'blocks', ...about },
  shared: { kind: 'shared', ...about, shared: cid, ...parcel },
  mask: { kind: 'mask', ...about, shared: cid },
  survivors: { kind: 'survivors', ...about, survivors: cid },
  certificate: { kind: 'certificate', ...about, survivors: cid, certificate: cid },
  refused: { kind: 'refused', ...about, of: '漢'.repeat(32), refusal: '漢'.repeat(64), detail: reason },
  receipt: {
    ...{ kind: 'receipt', v: 1, ...about, seat: COHORT_MAX, node: signer.id, update: cid, manifest: cid },
    amount: (10n ** 30n - 1n) as Amount,
  },
  measure: {
    ...{ kind: 'measure', model: 'mlp', seed: new Uint8Array(32), repetitions: REPETITIONS_MAX, closesAt: most },
  },
  consider: { kind: 'consider', question: new Uint8Array(16), plan: cid },
  ended: { kind: 'ended', ...about, outcome: 'not-selected', reason },
}
const all = [...Object.values(ofNodes), ...Object.values(ofCoordinators)]

/** As many blocks as may come along, and as many bytes. */
const full: readonly Block[] = Array.from({ length: ATTACHED_BLOCKS_MAX }, (_, index) => {
  const each = Math.floor(ATTACHED_BYTES_MAX / ATTACHED_BLOCKS_MAX)
  const bytes = new Uint8Array(each - ATTACHED_EXTRA_BYTES).fill(index)
  return { cid: cidOf(RAW, bytes), bytes }
})
const one: readonly Block[] = [new Uint8Array(ATTACHED_BYTES_MAX - ATTACHED_EXTRA_BYTES)].map((bytes) => ({
  cid: cidOf(RAW, bytes),
  bytes,
}))

test.each(all.map((message) => [message.kind, message] as const))(
  'a %s at its largest is a frame, with every block that there is room for',
  (_, message) => {
    for (const blocks of [full, one]) {
      const frame = say(signer, message, blocks)
      expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX)
      const opened = open(frame, FRAME_BYTES_MAX)
      expect(opened.ok && opened.value.attached.length).toBe(blocks.length)
    }
  },
)

/** Another value in a field of the signed body, or none. */
function saying(message: ClientMessage | CoordinatorMessage, field: string, value: unknown) {
  const { [field]: _, ...rest } = dagCbor.decode<Record<string, unknown>>(sign(signer, message).body)
  const signed = signer.sign(message.kind, dagCbor.encode(value === undefined ? rest : { ...rest, [field]: value }))
  return message.kind in ofNodes ? readClientMessage(signed) : readCoordinatorMessage(signed)
}

describe('a field out of its bounds is refused:', () => {
  const link = (message: ClientMessage | CoordinatorMessage, field: string) =>
    [undefined, null, 7, 'text', new Uint8Array(32)].map((value) => [message, field, value] as const)
  const { join, deal, agree, object, submit, confirm, unmask, abandon } = ofNodes
  const { seated, shared, mask, survivors, certificate } = ofCoordinators
  const links = dagCbor.decode<{ complaints: unknown[] }>(sign(signer, object).body).complaints
  const cases = [
    ...link(deal, 'keys'),
    ...link(deal, 'parcel'),
    ...link(agree, 'shared'),
    ...link(object, 'shared'),
    ...link(submit, 'input'),
    ...link(submit, 'vector'),
    ...link(confirm, 'confirm'),
    ...link(unmask, 'unmask'),
    ...link(abandon, 'abandon'),
    ...link(shared, 'shared'),
    ...link(shared, 'parcel'),
    ...link(mask, 'shared'),
    ...link(survivors, 'survivors'),
    ...link(certificate, 'survivors'),
    ...link(certificate, 'certificate'),
    ...[undefined, 7].map((value) => [join, 'advert', value] as const),
    ...[undefined, 7].map((value) => [seated, 'roster', value] as const),
    ...[deal, shared].flatMap((message) => [
      ...[-1, PARCEL_PARTS_MAX, 1.5, null].map((value) => [message, 'part', value] as const),
      ...[0, PARCEL_PARTS_MAX + 1, undefined].map((value) => [message, 'parts', value] as const),
    ]),
    ...[[], [...links, links[0]], [null], null].map((value) => [object, 'complaints', value] as const),
    ...[-1, PHASE_MILLIS_MAX + 1].map((value) => [submit, 'trainMillis', value] as const),
    ...[deal, agree, object, submit, confirm, unmask, abandon].flatMap((message) => [
      ...[0, ROUNDS_MAX + 1].map((value) => [message, 'round', value] as const),
      ...[['seq', -1] as const, ['to', null] as const, ['run', 'run_'] as const, ['more', 1] as const].map(
        ([field, value]) => [message, field, value] as const,
      ),
    ]),
  ] as const

  test.each(cases.map(([message, field, value]) => [message.kind, field, value, message] as const))(
    '%s.%s = %j',
    (_, field, value, message) => {
      expect(saying(message, field, value)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
    },
  )

  test('and none of these messages is refused as it is', () => {
    for (const message of all) expect(saying(message, 'nothing', undefined)).toEqual({ ok: true, value: message })
  })
})
