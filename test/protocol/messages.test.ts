import * as dagCbor from '@ipld/dag-cbor'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { concat, toHex } from '#protocol/bytes.ts'
import { open, signerOf } from '#protocol/envelope.ts'
import type { RunId } from '#protocol/ids.ts'
import { FRAME_BYTES_MAX } from '#protocol/limits.ts'
import {
  type ClientMessage,
  type CoordinatorMessage,
  clientBodies,
  coordinatorBodies,
  readClientMessage,
  readCoordinatorMessage,
  say,
  sign,
} from '#protocol/messages.ts'
import { clientMessages, coordinatorMessages } from './arbitraries.ts'

const signer = signerOf(new Uint8Array(32).fill(7))

function heard(message: ClientMessage | CoordinatorMessage) {
  const opened = open(say(signer, message), FRAME_BYTES_MAX)
  if (!opened.ok) throw new Error(opened.refusal)
  return opened.value
}

describe('every message', () => {
  test('of a node comes through as it was said', () => {
    fc.assert(
      fc.property(clientMessages, (message) => {
        expect(readClientMessage(heard(message))).toEqual({ ok: true, value: message })
      }),
      { numRuns: 150 },
    )
  })

  test('of a coordinator comes through as it was said', () => {
    fc.assert(
      fc.property(coordinatorMessages, (message) => {
        expect(readCoordinatorMessage(heard(message))).toEqual({ ok: true, value: message })
      }),
      { numRuns: 150 },
    )
  })

  test('has a body without a field `kind`, which is the name of the message', () => {
    for (const body of Object.values({ ...clientBodies, ...coordinatorBodies }))
      expect(Object.keys(body.shape)).not.toContain('kind')
  })

  test('is either a node’s or a coordinator’s, never both', () => {
    expect(Object.keys(clientBodies).filter((kind) => kind in coordinatorBodies)).toEqual([])
    fc.assert(
      fc.property(clientMessages, coordinatorMessages, (mine, yours) => {
        expect(readCoordinatorMessage(heard(mine))).toMatchObject({ ok: false, refusal: 'unknown-kind' })
        expect(readClientMessage(heard(yours))).toMatchObject({ ok: false, refusal: 'unknown-kind' })
      }),
      { numRuns: 20 },
    )
  })

  test('said with another’s body is refused for its shape', () => {
    fc.assert(
      fc.property(clientMessages, clientMessages, (a, b) => {
        fc.pre(a.kind !== b.kind && !isPair(a, b))
        const forged = { ...sign(signer, a), type: b.kind }
        expect(readClientMessage(forged)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
      }),
      { numRuns: 100 },
    )
  })

  test('with one bit of its body changed is refused, or is another message with that very encoding', () => {
    fc.assert(
      fc.property(clientMessages, fc.nat(), (message, at) => {
        const signed = sign(signer, message)
        const bit = at % (signed.body.length * 8)
        const body = signed.body.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
        const read = readClientMessage({ ...signed, body })
        if (read.ok) expect(toHex(sign(signer, read.value).body)).toBe(toHex(body))
      }),
      { numRuns: 300 },
    )
  })
})

/** `decline` and `leave` have one shape: the signed type keeps them apart. */
function isPair(a: ClientMessage, b: ClientMessage): boolean {
  return [a.kind, b.kind].every((kind) => kind === 'decline' || kind === 'leave')
}

test.each(['constructor', '__proto__', 'toString', 'hello-again'])('a frame of type %s is of no known kind', (type) => {
  const signed = { ...sign(signer, { kind: 'challenge', nonce: new Uint8Array(32) }), type }
  expect(readClientMessage(signed)).toMatchObject({ ok: false, refusal: 'unknown-kind' })
  expect(readCoordinatorMessage(signed)).toMatchObject({ ok: false, refusal: 'unknown-kind' })
})

test('a body with something after it is malformed', () => {
  const signed = sign(signer, { kind: 'challenge', nonce: new Uint8Array(32) })
  const longer = { ...signed, body: concat(signed.body, Uint8Array.of(0xf6)) }
  expect(readCoordinatorMessage(longer)).toMatchObject({ ok: false, refusal: 'malformed' })
})

test('a message out of its bounds cannot be said: that is our own mistake, and it throws', () => {
  expect(() => say(signer, { kind: 'challenge', nonce: new Uint8Array(31) })).toThrow()
})

describe('a reason that a node gives', () => {
  const about = { to: signer.id, seq: 1, run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId, round: 1 }

  test.each(['leave', 'decline'] as const)('is a name, no text for records and terminals (%s)', (kind) => {
    const { body } = sign(signer, { kind, ...about, reason: 'data-contract' })
    const saying = (reason: string) => {
      const changed = dagCbor.encode({ ...dagCbor.decode<object>(body), reason })
      return readClientMessage(signer.sign(kind, changed))
    }
    expect(saying('data-contract')).toMatchObject({ ok: true })
    for (const reason of ['', 'x'.repeat(33), '\u001b[2Jowned', 'two words', '漢'.repeat(30)])
      expect(saying(reason)).toMatchObject({ ok: false, refusal: 'wrong-shape' })
  })
})
