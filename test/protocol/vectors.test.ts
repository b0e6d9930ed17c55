import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { buildVectors } from '#test/vectors/build.ts'
import { verifyRecord } from '#verify/verify.ts'

const folder = join(import.meta.dirname, '../vectors')
const { vectors, blocks, root, coordinator } = await buildVectors()
const names = Object.keys(vectors).map((name) => `${name}.json`)
const page = readFileSync(join(import.meta.dirname, '../../docs/protocol.md'), 'utf8')
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

describe('the specification', () => {
  test.each(Object.entries(vectors))('%s.json is what the code computes', (name, value) => {
    expect(JSON.parse(read(`${name}.json`))).toEqual(value)
  })

  test.each(names)('%s is printed in docs/protocol.md, to the letter', (name) => {
    const block = new RegExp(`^\`\`\`json test/vectors/${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page)
    expect(block?.[1]).toBe(read(name))
  })

  test('prints no vector that is not computed', () => {
    const printed = [...page.matchAll(/^```json test\/vectors\/(\S+)$/gm)].map((match) => match[1])
    expect(printed.toSorted()).toEqual(names.toSorted())
  })
})

test('the run of the vectors verifies, from its root to its last payout', async () => {
  const verdict = await verifyRecord(root, async (cid) => blocks.get(cid), { coordinator })
  expect(verdict).toMatchObject({ ok: true, pinned: true, model: vectors.run.model, paid: 1_000_001n, released: 0n })
})
