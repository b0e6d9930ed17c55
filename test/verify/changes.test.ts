import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { cidOf, RAW } from '#protocol/cid.ts'
import { sealOf } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { times } from '#test/effort.ts'
import { verifyRecord } from '#verify/verify.ts'
import { recordRun } from './fixture.ts'
import { PUBLIC } from './telling.ts'

/** Changes of a plain record and of a session, of which a third at least are of different places. */
const PLAIN = times(45, 150)
const SESSION = times(36, 120)

/** What a signer may say as it likes: nothing that is proved follows from it. */
const FREE = [/^plan\.timing\./, /^report\.(seq|trainMillis)$/]

type Tree = { [key: string]: unknown }
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !CID.asCID(value) && !ArrayBuffer.isView(value)

/** Every path to a leaf. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (!isTree(value)) return [path]
  return Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))
}

function replace(value: unknown, [key, ...rest]: readonly string[], leaf: unknown): unknown {
  if (key === undefined) return leaf
  const copy = (Array.isArray(value) ? [...value] : { ...(value as Tree) }) as Tree
  copy[key] = replace(copy[key], rest, leaf)
  return copy
}

const emptyFile = CID.parse(cidOf(RAW, new Uint8Array(0)))
const leaves = fc.constantFrom<unknown>(
  null,
  true,
  0,
  1,
  2,
  3,
  -1,
  Number.MAX_SAFE_INTEGER,
  '',
  '0',
  '1',
  '9'.repeat(30),
  'train',
  'evaluate',
  'failed',
  'run_01ARZ3NDEKTSV4RRFFQ69G5FAW',
  [],
  {},
  new Uint8Array(32),
  new Uint8Array(32).fill(255),
  emptyFile,
)

test('nothing that follows from anything can be changed by its signer without being found, and nothing throws', async () => {
  const tried = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.nat(10), fc.nat(200), leaves, async (nth, place, leaf) => {
      let count = 0
      let where = ''
      let same = false
      const run = await recordRun({
        planned: 1,
        nodes: 2,
        hooks: {
          signed: (signed, _at, signer) => {
            if (count++ !== nth) return signed
            const body: unknown = dagCbor.decode(signed.body)
            const paths = pathsOf(body)
            const path = paths[place % paths.length] ?? []
            const changed: Bytes = dagCbor.encode(replace(body, path, leaf))
            where = [signed.type, ...path].join('.')
            same = Buffer.compare(changed, signed.body) === 0
            return signer.sign(signed.type, changed)
          },
        },
      })
      const verdict = await verifyRecord(run.root, async (cid: Cid) => run.blocks.get(cid))
      if (where) tried.add(where)
      if (verdict.ok)
        expect(where === '' || same || FREE.some((free) => free.test(where)) ? 'free' : where).toBe('free')
      else expect(verdict.detail).not.toBe('')
    }),
    { numRuns: PLAIN },
  )
  expect(tried.size).toBeGreaterThan(PLAIN / 3)
})

/** The text that says by what the result was made. */
const FREE_IN_SESSION = /^result\.verifier$/
const SAID = ['roster', 'shared', 'survivors', 'certificate', 'result'] as const

test('nothing that a coordinator says in a session can be changed by it without being found, and nothing throws', async () => {
  const tried = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...SAID), fc.nat(200), leaves, async (name, place, leaf) => {
      let where = ''
      let same = false
      const run = await recordRun({
        ...{ secure: PUBLIC, planned: 1, losses: { 1: { mask: [2] } }, until: 1 },
        hooks: {
          record: (record, { act, coordinator }) => {
            if (act.round !== 1) return {}
            const said = record[name]
            const body: unknown = dagCbor.decode(said.signed.body)
            const paths = pathsOf(body)
            const path = paths[place % paths.length] ?? []
            const changed: Bytes = dagCbor.encode(replace(body, path, leaf))
            where = [name, ...path].join('.')
            same = Buffer.compare(changed, said.signed.body) === 0
            const signed = coordinator.sign(said.kind, changed)
            return { [name]: { ...said, signed, cid: sealOf(signed).seal.cid } }
          },
        },
      })
      tried.add(where)
      const verdict = await verifyRecord(run.root, async (cid: Cid) => run.blocks.get(cid))
      if (verdict.ok) expect(same || FREE_IN_SESSION.test(where) ? 'free' : where).toBe('free')
      else expect(verdict.detail).not.toBe('')
    }),
    { numRuns: SESSION },
  )
  expect(tried.size).toBeGreaterThan(SESSION / 3)
})
