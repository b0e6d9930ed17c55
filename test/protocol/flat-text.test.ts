import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { flatText } from '#protocol/flat-text.ts'

test('it is the same text, of any characters', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => flatText(text) === text))
})

test('an id is kept as its letters, not as a rope of them', async () => {
  const script = join(import.meta.dirname, 'ids-process.ts')
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning']
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script])
  const each = stdout.trimEnd().split('\n').map(Number)
  expect(each.length).toBe(2)
  // 59 letters in whole words, and a place in a list.
  for (const bytes of each) expect(bytes).toBeLessThan(160)
})
