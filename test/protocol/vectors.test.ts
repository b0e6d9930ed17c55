import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { buildVectors } from '#test/vectors/build.ts'

const folder = join(import.meta.dirname, '../vectors')
const names = readdirSync(folder).filter((name) => name.endsWith('.json'))
const page = readFileSync(join(import.meta.dirname, '../../docs/protocol.md'), 'utf8')
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

describe('the specification', () => {
  test.each(names)('%s is what the code computes', async (name) => {
    const { vectors } = await buildVectors()
    expect(JSON.parse(read(name))).toEqual(vectors[name.replace('.json', '') as keyof typeof vectors])
  })

  test.each(names)('%s is printed in docs/protocol.md, to the letter', (name) => {
    const block = new RegExp(`^\`\`\`json test/vectors/${name}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page)
    expect(block?.[1]).toBe(read(name))
  })

  test('prints no vector that is not computed', async () => {
    const printed = [...page.matchAll(/^```json test\/vectors\/(\S+)$/gm)].map((match) => match[1])
    expect(printed.toSorted()).toEqual(names.toSorted())
    expect(
      Object.keys((await buildVectors()).vectors)
        .map((name) => `${name}.json`)
        .toSorted(),
    ).toEqual(names.toSorted())
  })
})
