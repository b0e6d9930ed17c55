import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { chromiumPath, type Opened, openPage } from '#test/chromium.ts'
import { published } from '#test/vectors/published.ts'
import * as here from './page.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to compute the vectors in\n')
const inChromium = chromium ? test : test.skip

describe('a page in Chromium', () => {
  let opened: Opened
  const there = (call: string) => opened.page.evaluate(`import('/module.js').then((page) => page.${call}())`)

  beforeAll(async () => {
    if (chromium) opened = await openPage(chromium, join(import.meta.dirname, 'page.ts'))
  })
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]()
  })

  inChromium('is a browser that knows nothing of Node', async () => {
    expect(await opened.page.evaluate('navigator.userAgent')).toMatch(/Chrome\/\d+/)
    expect(await opened.page.evaluate('typeof process + typeof require + typeof Buffer')).toBe('undefined'.repeat(3))
    expect(opened.sources).toContain('protocol/crypto/noble.ts')
    expect(opened.sources).not.toContain('protocol/crypto/node.ts')
  })

  inChromium('computes every published vector', async () => {
    const names = Object.keys(await here.vectors())
    expect(names).toEqual(expect.arrayContaining(['secagg', 'secagg-session', 'envelope', 'run']))
    expect(await there('vectors')).toEqual(published(names))
  })

  inChromium('adds long vectors in WebAssembly', async () => {
    expect(await there('hasKernel')).toBe(true)
  })

  inChromium('takes many masks off a sum as exactly as Node, and goes on meanwhile', async () => {
    const { left } = await here.removal()
    expect(await there('removal')).toEqual({ left, turned: true })
  })

  inChromium(
    'plays whole masked sessions of five members with a dropout, and says in them what Node says',
    async () => {
      expect(await there('sessions')).toEqual(await here.sessions())
    },
  )
})
