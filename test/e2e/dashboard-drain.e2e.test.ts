import { expect, test } from '@jest/globals'
import { violationsOn } from '#test/axe.ts'
import { chromiumPath } from '#test/chromium.ts'
import { live, RawNode } from '#test/coordinator/live.ts'
import { filesHere, openStage, press } from '#test/dashboard/stage.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to open a dashboard\n')
const inChromium = chromium ? test : test.skip

inChromium(
  'a node is drained and resumed where nodes are shown, by the keyboard, and by nobody whose key is not for that',
  async () => {
    await using at = await live({ dashboard: filesHere, spotChecks: 'none' })
    await using node = new RawNode(at.coordinator.url, at.coordinator.id, 'linked, and no more')
    await node.link()
    const drainedAt = async () =>
      ((await (await at.api(`/v1/nodes/${node.signer.id}`)).json()) as { readonly drained_at: string | null })
        .drained_at
    await using stage = await openStage(chromium as string, at.coordinator.url)
    const { page } = stage
    await stage.goTo(`/nodes#key=${at.key}`)
    await stage.says(/Linked[\s\S]*Drain/)
    await press(page, /^Drain Node/)
    await stage.says(/Invite this node to no new round\?/)
    await press(page, /^Drain$/)
    await stage.says(/❚❚ Drained/)
    expect(await drainedAt()).toMatch(/Z$/)
    expect(await violationsOn(page)).toEqual([])

    // Whoever may only look sees that it is, and no button.
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'reader', scopes: ['nodes:read', 'runs:read'] })
    const made = await at.api('/v1/api-keys', { method: 'POST', headers, body })
    await using reader = await openStage(chromium as string, at.coordinator.url)
    await reader.goTo(`/nodes#key=${((await made.json()) as { readonly key: string }).key}`)
    await reader.says(/❚❚ Drained/)
    expect(await reader.page.$$('button[aria-label^="Resume"]')).toEqual([])

    await press(page, /^Resume Node/)
    await page.waitForFunction(() => !document.body.textContent?.includes('Drained'))
    expect(await drainedAt()).toBeNull()
    expect([...stage.complaints, ...reader.complaints]).toEqual([])
  },
  120_000,
)
