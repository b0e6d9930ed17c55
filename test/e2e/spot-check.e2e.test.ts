import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { startNode } from '#client/node.ts'
import { siteTerms } from '#client/site.ts'
import type { Capability } from '#protocol/capability.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { say } from '#protocol/messages.ts'
import { REPETITION_EPOCHS } from '#protocol/reference-models.ts'
import { encodeCurve } from '#protocol/spot-check.ts'
import { consilium } from '#test/cli/command.ts'
import { type Live, live, RawNode } from '#test/coordinator/live.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'

/** So slow that one repetition is enough, and half a minute for it. */
const MODEST = 140_000
const capability: Capability = {
  ...{ backend: 'wasm', adapter: 'WebAssembly, one thread', software: false, deterministic: true },
  ...{ memoryBytes: 2 ** 31, version: '1.0.0' },
  ...{ population: 'open', speeds: [{ model: 'mlp', milliSamplesPerSecond: MODEST, measuredAt: Date.now() }] },
}

type Shown = {
  standing: string
  capability: { backend: string; speeds: { standing: string }[] } | null
  checks: { verdict: string; elapsed_ms: number; train_ms: number }[]
}
const show = async (at: Live, id: string) => (await (await at.api(`/v1/nodes/${id}`)).json()) as Shown

test('a real node is confirmed, one that makes its losses up is not, and the owner of the coordinator sees both', async () => {
  await using folder = await temporaryFolder()
  // Whoever is unchecked is at once, and nobody again.
  await using at = await live({ spotChecks: { turnMillis: 20, uncheckedMeanMillis: 20 } })
  const { url, id: key } = at.coordinator

  // What it measured in an earlier life, so that this one begins with it.
  const [state, csv] = [join(folder.path, 'node'), join(folder.path, 'site.csv')]
  await mkdir(state, { mode: 0o700 })
  await writeFile(join(state, 'bench.json'), JSON.stringify(capability))
  await writeFile(csv, `x,y,z\n${'1,2,0\n3,4,1\n'.repeat(20)}`)
  const reported: Capability[] = []
  const failed = (cause: unknown) => {
    throw cause
  }
  await using node = await startNode({
    ...{ state, urls: [url], coordinator: key, data: { kind: 'csv', path: csv }, backend: 'wasm', population: 'open' },
    ...{ cohortMin: 2, site: siteTerms('open', 'open'), share: undefined, siteNodes: [], sharedBytes: 2 ** 24 },
    linkChanged: () => undefined,
    bench: { version: '1.0.0', report: (said) => void reported.push(said), failed },
  })
  void Array.fromAsync(node.progress)
  await comesTrue(async () => (await show(at, node.id)).standing === 'confirmed', 50_000)
  expect(reported).toEqual([capability])
  const honest = await show(at, node.id)
  expect(honest.capability?.speeds).toMatchObject([{ standing: 'confirmed' }])
  expect(honest.checks[0]?.elapsed_ms).toBeGreaterThanOrEqual(honest.checks[0]?.train_ms as number)

  await using liar = new RawNode(url, key, 'liar')
  expect(await liar.link()).toBe('linked')
  liar.raw(say(liar.signer, { kind: 'capability', ...liar.said(), ...capability }))
  const { seed, repetitions } = await liar.hear('measure')
  const bytes = encodeCurve(Array(repetitions * REPETITION_EPOCHS).fill(2.3))
  const curve = { cid: cidOf(RAW, bytes), bytes }
  liar.raw(say(liar.signer, { kind: 'measured', ...liar.said(), seed, curve: curve.cid, trainMillis: 1 }, [curve]))
  await comesTrue(async () => (await show(at, liar.signer.id)).standing === 'doubted')
  expect((await show(at, liar.signer.id)).checks.at(-1)).toMatchObject({ verdict: 'wrong', train_ms: 1 })

  const env = { CONSILIUM_COORDINATOR: url, CONSILIUM_HOME: at.state }
  const listed = (await consilium(['nodes', 'ls'], { env })).stdout
  expect(listed).toMatch(new RegExp(`^${node.id} +linked +confirmed +140 +- +- +wasm$`, 'm'))
  expect(listed).toMatch(new RegExp(`^${liar.signer.id} +linked +doubted`, 'm'))
})
