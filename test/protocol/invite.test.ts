import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { CODE_CHANCE_BYTES, codeHash, codeOf, parseCode, readAcceptance, stateAcceptance } from '#protocol/invite.ts'
import { say } from '#protocol/messages.ts'
import { signer } from '#test/coordinator/live.ts'

const chance = fc.uint8Array({ minLength: CODE_CHANCE_BYTES, maxLength: CODE_CHANCE_BYTES })
const [node, coordinator] = [signer('node'), signer('coordinator').id]

describe('a code', () => {
  test('is read however it is typed: in any case and groups, O for 0, I or L for 1', () => {
    const typed = fc.tuple(chance, fc.boolean(), fc.constantFrom('', ' ', '-', ' - '), fc.constantFrom('I', 'L', '1'))
    fc.assert(
      fc.property(typed, ([bytes, isLower, gap, one]) => {
        const code = codeOf(bytes)
        expect(code).toMatch(/^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
        const text = code.replaceAll('-', gap).replaceAll('0', 'O').replaceAll('1', one)
        expect(parseCode(isLower ? text.toLowerCase() : text)).toEqual({ ok: true, value: code })
      }),
    )
  })

  test('that is misread in one letter is known for that, all but one time in thirty', () => {
    const code = codeOf(new Uint8Array(CODE_CHANCE_BYTES).fill(9))
    const letters = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ']
    const misread = [...code].flatMap((own, at) =>
      own === '-'
        ? []
        : letters
            .filter((letter) => letter !== own)
            .map((letter) => `${code.slice(0, at)}${letter}${code.slice(at + 1)}`),
    )
    expect(misread.filter((text) => parseCode(text).ok).length).toBeLessThan(misread.length / 20)
  })

  test.each([
    '',
    '7Q2F-KD9P',
    `${codeOf(new Uint8Array(15))}0`,
    'UUUU-UUUU-UUUU-UUUU',
    '🙂'.repeat(16),
    '0'.repeat(10_000),
  ])('is not %s', (text) => {
    expect(parseCode(text)).toMatchObject({ ok: false, refusal: 'bad-code' })
  })
})

describe('what a node signs', () => {
  const code = codeOf(new Uint8Array(CODE_CHANCE_BYTES).fill(3))
  const statement = stateAcceptance(node, { to: coordinator, code, at: 1000 })

  test('says who takes which code at which coordinator, and when', () => {
    const value = { node: node.id, to: coordinator, code: codeHash(code), at: 1000 }
    expect(readAcceptance(statement)).toEqual({ ok: true, value })
    expect(Buffer.from(statement).includes(code)).toBe(false)
  })

  test('is nothing with any byte of it changed, and nothing else is it', () => {
    fc.assert(
      fc.property(fc.nat(statement.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const other = statement.slice()
        other[at] = (other[at] as number) ^ change
        expect(readAcceptance(other).ok).toBe(false)
      }),
    )
    const hello = say(node, { kind: 'busy', to: coordinator, seq: 1, seed: new Uint8Array(32) })
    expect(readAcceptance(hello)).toMatchObject({ ok: false, refusal: 'not-an-acceptance' })
    expect(readAcceptance(new Uint8Array(5000))).toMatchObject({ ok: false, refusal: 'too-large' })
  })
})

test('a fingerprint is six words to say, of one key and no other', () => {
  expect(fingerprintOf(coordinator)).toMatch(
    /^([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz]( ([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz]){5}$/,
  )
  expect(fingerprintOf(coordinator)).toBe(fingerprintOf(signer('coordinator').id))
  const many = Array.from({ length: 200 }, (_, index) => fingerprintOf(signer(`n${index}`).id))
  expect(new Set(many).size).toBe(200)
})
