import { z } from 'zod'
import { sha256 } from '#crypto'
import { assert } from './assert.ts'
import { concat, utf8 } from './bytes.ts'
import { bytesField, type DecodeRefusal, decode, encode, millisField, nodeIdField } from './codec.ts'
import { frameOf, type OpenRefusal, open, type Signer } from './envelope.ts'
import type { Bytes, Millis, NodeId } from './ids.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * How a node joins a federation: somebody who is asked in has a code, and the node signs that it takes it. The code is a
 * secret that is read out on a telephone: letters that nobody mistakes for one another, in groups, the last one a check.
 */

/** Crockford's: without I, L and O, which are read as digits, and without U. */
const LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const GROUP = 4
/** Seventy-five bits by chance, beside the check. */
const CHANCE_LETTERS = 15
/** Bytes of chance that one code takes. */
export const CODE_CHANCE_BYTES = CHANCE_LETTERS

/** A code of chance alone, as it is shown. @param chance {@link CODE_CHANCE_BYTES}, of which five bits each count */
export function codeOf(chance: Bytes): string {
  assert(chance.length === CODE_CHANCE_BYTES, 'a code is made of so much chance')
  const letters = Array.from(chance, (byte) => LETTERS[byte % 32]).join('')
  return grouped(letters + checkOf(letters))
}

/** As it was read out or typed: in any case, in any groups, O for 0 and I or L for 1. @returns it as it is shown */
export function parseCode(text: string): Result<string, 'bad-code'> {
  if (text.length > 64) return refuse('bad-code', 'a code is four groups of four letters')
  const letters = text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1')
  if (letters.length !== CHANCE_LETTERS + 1) return refuse('bad-code', 'a code is four groups of four letters')
  if ([...letters].some((letter) => !LETTERS.includes(letter)))
    return refuse('bad-code', 'a code is of digits and letters, without I, L, O and U')
  if (letters.at(-1) !== checkOf(letters.slice(0, -1)))
    return refuse('bad-code', 'one letter or more is another one: read it again')
  return accept(grouped(letters))
}

function checkOf(letters: string): string {
  return LETTERS[(sha256(utf8(`consilium/1 invite check ${letters}`))[0] as number) % 32] as string
}

function grouped(letters: string): string {
  return Array.from({ length: letters.length / GROUP }, (_, at) => letters.slice(at * GROUP, (at + 1) * GROUP)).join(
    '-',
  )
}

/** What is kept of a code, and signed. @param code as it is shown */
export function codeHash(code: string): Bytes {
  return sha256(concat(utf8('consilium/1 invite\0'), utf8(code)))
}

/** For one coordinator, one code and one moment: said to another, or much later, it means nothing. */
const acceptanceSchema = z.strictObject({
  to: nodeIdField,
  code: bytesField(32),
  /** By the node's clock. */
  at: millisField,
})
/** No message of the node link has this name, so that neither can be taken for the other. */
const ACCEPTANCE = 'accept-invite'
/** An envelope over three short fields takes some 250. */
const STATEMENT_BYTES_MAX = 512
/** How far the clocks of a node and a coordinator may be apart, and how old a statement may be. */
export const STATEMENT_MILLIS_MAX: Millis = 600_000

/** @param code as it is shown */
export function stateAcceptance(
  signer: Signer,
  { to, code, at }: { readonly to: NodeId; readonly code: string; readonly at: Millis },
): Bytes {
  return frameOf(signer.sign(ACCEPTANCE, encode(acceptanceSchema, { to, code: codeHash(code), at })))
}

export type Acceptance = { readonly node: NodeId } & z.output<typeof acceptanceSchema>
export type AcceptanceRefusal = DecodeRefusal | OpenRefusal | 'wrong-block' | 'not-an-acceptance'

/** Who says it and what: signed, and nothing more is known of it. */
export function readAcceptance(statement: Bytes): Result<Acceptance, AcceptanceRefusal> {
  const signed = open(statement, STATEMENT_BYTES_MAX)
  if (!signed.ok) return signed
  if (signed.value.type !== ACCEPTANCE) return refuse('not-an-acceptance', signed.value.type)
  const said = decode(acceptanceSchema, signed.value.body, STATEMENT_BYTES_MAX)
  return said.ok ? accept({ node: signed.value.from, ...said.value }) : said
}
