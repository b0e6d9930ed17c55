import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { live } from '#test/coordinator/live.ts'
import { byKeyboard, everyPage, killedAndBack, reference } from '#test/dashboard/scenes.ts'
import { isOpenToAll, openFirefoxStage } from '#test/dashboard/stage.ts'
import { firefoxPath, type Theme } from '#test/firefox.ts'
import { temporaryFolder } from '#test/folder.ts'
import { filesHere, nodeBeside, runOf, says, textOf } from '#test/lend/page.ts'

const firefox = firefoxPath()
if (!firefox)
  process.stderr.write(
    'skipped: there is no Firefox here (FIREFOX, or on the PATH) to open the pages of a coordinator\n',
  )
const inFirefox = firefox ? test : test.skip
const openIn = (theme: Theme) => (url: string) => openFirefoxStage(firefox as string, url, theme)

inFirefox(
  'Firefox lends by wasm beside nodes of Node, is in the signed record of plain and masked rounds, and comes again as itself',
  async () => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _first = await nodeBeside(at.coordinator, join(folder.path, 'first'))
    await using _second = await nodeBeside(at.coordinator, join(folder.path, 'second'))
    await using stage = await openIn('light')(at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/lend#${at.coordinator.id}`)
    await isOpenToAll(stage, 'before lending')
    await page.click('#lend')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'used')).toMatch(/^wasm/)
    const node = await textOf(page, 'node')
    const cohort = { min: 3, max: 3, quorum: 3 }
    for (const masking of ['none', 'secagg/1']) {
      const { nodes, ...redone } = await runOf(at, { masking, cohort })
      expect(redone).toMatchObject({ ok: true, masking })
      expect(nodes).toContain(node)
    }
    await says(page, 'tasks', /2/)
    await isOpenToAll(stage, 'after two rounds')

    await page.click('#stop')
    await says(page, 'state', /stopped/)
    await page.reload()
    await page.click('#lend')
    await says(page, 'state', /waiting for a round/)
    expect(await textOf(page, 'node')).toBe(node)
    expect((await page.$$('#receipts tr')).length).toBe(2)
    const { nodes } = await runOf(at, { masking: 'secagg/1', cohort })
    expect(nodes).toContain(node)
    expect([stage.complaints, stage.elsewhere]).toEqual([[], []])
  },
  300_000,
)

inFirefox(
  'in Firefox every page of the dashboard keeps nobody out, in light',
  () => everyPage(openIn('light')),
  600_000,
)

inFirefox(
  'in Firefox, in dark and with little motion, somebody signs in, stops a run, and verifies another without a network',
  () => byKeyboard(openIn('dark')),
  300_000,
)

inFirefox('in Firefox the API reference comes up under its policy', () => reference(openIn('dark')), 300_000)

inFirefox(
  'in Firefox a coordinator that is killed and comes back leaves neither a gap nor a repetition',
  () => killedAndBack(openIn('light')),
  600_000,
)
