import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { openBackend } from '#client/trainers/backend.ts'
import { chromiumPath, openPage, SOFTWARE_GPU } from '#test/chromium.ts'
import { backendsHere } from './backends.ts'
import { bytesHeld } from './shapes-held.ts'

const entry = join(import.meta.dirname, 'trainer-page.ts')
/** A GPU in software compiles anew for each: .ci/run has it train more, by CONSILIUM_EVERY_LAYER, and by WebGPU of a page. */
const isBrief = !process.env['CONSILIUM_EVERY_LAYER']
const TASKS = isBrief ? 2 : 4
const IN_PAGE = isBrief ? ['webgl'] : ['webgl', 'webgpu']

/** Each task holds about what the first does, and nothing of those before it. */
function expectLevel(held: readonly number[]): void {
  expect(held).toHaveLength(TASKS)
  expect(held[0]).toBeGreaterThan(100_000)
  expect(Math.max(...held)).toBeLessThan(1.5 * (held[0] as number))
}

const onGpu = (await backendsHere('the memory of tasks of several shapes', ['webgpu'])).length > 0 ? test : test.skip

onGpu(
  'a GPU in Node holds no more after tasks of several shapes than after one',
  async () => {
    await openBackend('webgpu')
    expectLevel(await bytesHeld(TASKS))
  },
  120_000,
)

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write(
    'skipped: the memory of tasks in a page, since there is no Chromium (CHROMIUM, or on the PATH)\n',
  )
const inChromium = chromium ? test.each(IN_PAGE) : test.skip.each(IN_PAGE)

inChromium(
  'a page holds no more by %s after tasks of several shapes than after one',
  async (backend) => {
    await using opened = await openPage(chromium as string, entry, SOFTWARE_GPU)
    expectLevel(
      (await opened.page.evaluate(`import('/module.js').then(async (page) => {
      await page.open('${backend}')
      return page.bytesHeld(${TASKS})
    })`)) as readonly number[],
    )
  },
  120_000,
)

const onceInChromium = chromium ? test : test.skip
onceInChromium('a step that WebGL refuses is told of', async () => {
  await using opened = await openPage(chromium as string, entry, SOFTWARE_GPU)
  expect(await opened.page.evaluate("import('/module.js').then((page) => page.refusedStep())")).toEqual({
    ...{ reason: 'the GPU refused a step: error 1280', refused: true },
  })
})
