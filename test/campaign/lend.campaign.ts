import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { packageOf } from '#cli/package.ts'
import { chromiumPath, SOFTWARE_GPU, startChromium } from '#test/chromium.ts'
import { live } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { filesHere, nodeBeside, overhears, runOf, says, textOf } from '#test/lend/page.ts'
import { softwareVulkan, useSoftwareVulkan } from '#test/vulkan.ts'

const chromium = chromiumPath()
if (!chromium)
  process.stderr.write('skipped: there is no Chromium here (CHROMIUM, or on the PATH) to lend to a coordinator\n')
const inChromium = chromium ? test.each : test.skip.each
const pair = { min: 2, max: 2, quorum: 2 }

inChromium(['webgpu', 'webgl', 'wasm', 'cpu'])(
  'a page trains by %s, and the record is verified',
  async (backend) => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using _node = await nodeBeside(at.coordinator, join(folder.path, 'node'))
    const browser = await startChromium(chromium as string, SOFTWARE_GPU)
    try {
      const page = await browser.newPage()
      await page.goto(`${at.coordinator.url}/lend`)
      await page.select('#backend', backend)
      await page.click('#lend')
      await says(page, 'state', /waiting for a round/)
      expect(await textOf(page, 'used')).toMatch(new RegExp(`^${backend} `))
      expect(await runOf(at, { masking: 'none', cohort: pair })).toMatchObject({ ok: true })
      await says(page, 'tasks', /1/)
    } finally {
      await browser.close()
    }
  },
  180_000,
)

inChromium(['wasm', 'webgl'])(
  'a page says what it can do by %s, and answers as it must when the coordinator checks that',
  async (backend) => {
    const spotChecks = { turnMillis: 100, meanMillis: 1, uncheckedMeanMillis: 1 }
    await using at = await live({ lend: filesHere, graceMillis: 2000, spotChecks })
    const browser = await startChromium(chromium as string, SOFTWARE_GPU)
    try {
      const page = await browser.newPage()
      await page.goto(`${at.coordinator.url}/lend`)
      await page.select('#backend', backend)
      await page.click('#lend')
      await says(page, 'measured', new RegExp(`^${backend}: [\\d,]+ on an MLP`))
      const node = await textOf(page, 'node')
      // Asked too often it says to come later.
      const known = async () => {
        const answer = await at.api(`/v1/nodes/${node}`)
        return answer.ok ? ((await answer.json()) as Known) : undefined
      }
      // One that comes to nothing takes a minute on a device that is slow.
      let told: Known | undefined
      await comesTrue(async () => {
        told = await known()
        return told?.checks.some(({ verdict }) => verdict !== 'unanswered') ?? false
      }, 480_000)
      // How fast it is found to be is the machine's affair, which does other things, too: it may also come too late to be heard.
      const { checks, capability } = told as unknown as Known
      for (const { verdict } of checks) expect(verdict).toMatch(/^(confirmed|slower|unanswered)$/)
      expect(capability).toMatchObject({ backend, version: packageOf().version, population: 'open' })
      await page.reload()
      await page.select('#backend', backend)
      await page.click('#lend')
      // Measured once a day.
      await says(page, 'measured', new RegExp(`^${backend}: `))
    } finally {
      await browser.close()
    }
  },
  600_000,
)
type Known = { readonly checks: readonly { readonly verdict: string }[]; readonly capability: object }

const vulkan = softwareVulkan()
if (!vulkan) process.stderr.write('skipped: no software GPU for Node here, beside which a page would train\n')
const onGpus = vulkan ? inChromium : test.skip.each

onGpus(['none', 'secagg/1'])(
  'a node on wasm, a node on WebGPU and a page on WebGPU share a round (masking %s), and it is verified',
  async (masking) => {
    if (vulkan) await useSoftwareVulkan(vulkan)
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 2000 })
    await using wasm = await nodeBeside(at.coordinator, join(folder.path, 'wasm'))
    await using webgpu = await nodeBeside(at.coordinator, join(folder.path, 'webgpu'), { backend: 'webgpu' })
    expect([wasm.backend.name, webgpu.backend.name, webgpu.backend.software]).toEqual(['wasm', 'webgpu', true])
    const browser = await startChromium(chromium as string, SOFTWARE_GPU)
    try {
      const page = await browser.newPage()
      await page.goto(`${at.coordinator.url}/lend`)
      await page.select('#backend', 'webgpu')
      await page.click('#lend')
      await says(page, 'state', /waiting for a round/)
      const cohort = { min: 3, max: 3, quorum: 3 }
      expect(await runOf(at, { masking, cohort })).toMatchObject({ ok: true, masking })
      await says(page, 'tasks', /1/)
    } finally {
      await browser.close()
    }
  },
  180_000,
)

inChromium(['none', 'secagg/1'])(
  'a page that is loaded again in the middle of a round (masking %s) does not hold the others up',
  async (masking) => {
    await using folder = await temporaryFolder()
    await using at = await live({ lend: filesHere, graceMillis: 500 })
    await using _first = await nodeBeside(at.coordinator, join(folder.path, 'first'))
    await using _second = await nodeBeside(at.coordinator, join(folder.path, 'second'))
    await using _third = await nodeBeside(at.coordinator, join(folder.path, 'third'))
    const browser = await startChromium(chromium as string)
    try {
      const page = await browser.newPage()
      await page.goto(`${at.coordinator.url}/lend`)
      await page.click('#lend')
      await says(page, 'state', /waiting for a round/)
      const begun = await overhears(page, 'state', /training/)
      const ended = runOf(at, { masking, cohort: { min: 3, max: 4, quorum: 3 } })
      await begun()
      await page.reload()
      await page.click('#lend')
      expect(await ended).toMatchObject({ ok: true })
      await says(page, 'state', /waiting|over|joined|training|sent/)
      expect(await textOf(page, 'problem')).toBe('')
    } finally {
      await browser.close()
    }
  },
  180_000,
)
