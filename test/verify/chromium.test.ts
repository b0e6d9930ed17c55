import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { toHex } from '#protocol/bytes.ts'
import { chromiumPath, type Opened, openPage } from '#test/chromium.ts'
import * as here from './page.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to verify a bundle in\n')
const inChromium = chromium ? test : test.skip
const bundle = readFileSync(join(import.meta.dirname, '../vectors/masked-run.car'))

let opened: Opened
beforeAll(async () => {
  if (chromium) opened = await openPage(chromium, join(import.meta.dirname, 'page.ts'))
})
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]()
})

function there(hex: string): Promise<unknown> {
  return opened.page.evaluate(`import('/module.js').then((page) => page.verdictOf('${hex}'))`)
}

inChromium('a page proves a masked run as Node does, down to the sum and the model', async () => {
  const verdict = await here.verdictOf(toHex(bundle))
  expect(JSON.parse(verdict)).toMatchObject({ ok: true, masking: 'secagg/1', rounds: [{ vectors: 'recomputed' }, {}] })
  expect(await there(toHex(bundle))).toBe(verdict)
})

inChromium('a page finds the same step at fault where a byte is changed', async () => {
  for (const at of [100, Math.floor(bundle.length / 2), bundle.length - 5]) {
    const changed = Uint8Array.from(bundle)
    changed[at] = (changed[at] as number) ^ 1
    const verdict = await here.verdictOf(toHex(changed))
    expect(JSON.parse(verdict)).toMatchObject({ ok: false })
    expect(await there(toHex(changed))).toBe(verdict)
  }
})
