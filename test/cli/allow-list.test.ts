import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { readAllowList } from '#cli/allow-list.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { nodeIdOf } from '#protocol/ids.ts'
import { temporaryFolder } from '#test/folder.ts'

const [a, b, c] = ['a', 'b', 'c'].map((name) => nodeIdOf(sha256(utf8(name))))

async function listOf(text: string) {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'nodes.txt')
  await writeFile(file, text)
  return await readAllowList(file)
}

test('a list names nodes, and the operators of those that are not their own', async () => {
  const list = await listOf(`# ours\n${a} alba\n\n  ${b}\talba # both\n${c}\n${a} alba\n`)
  expect([...list]).toEqual([
    [a, 'alba'],
    [b, 'alba'],
    [c, null],
  ])
})

test.each([
  ['another word after the operator', `${a} alba brac`, /line 1: after the node id/],
  ['an operator with capitals, like a node id', `${a}\n${b} ${c}`, /line 2: after the node id/],
  ['one node with two operators', `${a} alba\n${a} brac`, /line 2: the node is there already/],
  ['a node that is its own operator and another’s', `${a}\n${a} brac`, /line 2: the node is there already/],
  ['no node at all', '# nobody yet', /lists no node/],
])('a list with %s is refused with its line', async (_, text, message) => {
  await expect(listOf(text)).rejects.toThrow(message)
})
