import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { live } from './coordinator/live.ts'
import { temporaryFolder } from './folder.ts'
import { pinningDouble } from './pinning-double.ts'

const folder = join(import.meta.dirname, 'pinning-compliance')
const suite = join(folder, 'node_modules/@ipfs-shipyard/pinning-service-compliance/dist/src/index.js')
const withSuite = existsSync(suite) ? test : test.skip
if (withSuite === test.skip)
  process.stderr.write(
    'skipped: the public compliance suite of the pinning API, since it is not installed: npm ci --ignore-scripts --prefix test/pinning-compliance\n',
  )

type Outcome = { readonly summary: string; readonly passed: number; readonly failed: number }

/** Runs the suite against a service, by the shapes that our own description has of the pinning API. */
async function comply(service: { readonly url: string; readonly token: string }): Promise<Outcome> {
  await using reports = await temporaryFolder()
  const { components, info } = JSON.parse(await readFile('docs/openapi.json', 'utf8'))
  const specification = join(reports.path, 'specification.json')
  // Its reader knows no 3.1; these shapes are the same in both.
  await writeFile(specification, JSON.stringify({ openapi: '3.0.3', info, paths: {}, components }))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', join(folder, 'offline.mjs'), suite, '--serviceAndToken', service.url, service.token],
    { env: { ...process.env, PINNING_SPECIFICATION: specification, PINNING_REPORTS: reports.path }, cwd: reports.path },
  )
  const host = new URL(service.url).hostname
  const results = JSON.parse(await readFile(join(reports.path, `${host}.json`), 'utf8'))
  return { ...results, summary: stdout.slice(stdout.indexOf('Summary')) }
}

describe('the public compliance suite of the pinning API', () => {
  withSuite('passes whole against this coordinator, and not against a service whose search is broken', async () => {
    await using at = await live()
    await using double = await pinningDouble('names-find-all')
    // Each run waits for timers of its own at the end: side by side they wait once.
    const [{ summary, ...results }, broken] = await Promise.all([
      comply({ url: `${at.coordinator.url}/v1/pinning`, token: at.key }),
      comply({ url: double.url, token: double.token }),
    ])
    process.stderr.write(`${summary}\n`)
    expect(results).toEqual({ total: 9, passed: 9, failed: 0, success: true })
    expect(broken.summary).toMatch(/❌ Can create a pin with name=/)
    expect(broken.failed).toBeGreaterThan(0)
  })
})
